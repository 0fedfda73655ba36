"""Keys that a run needs and that no parameter of a flow run holds: blocks and the environment.

Prefect keeps the parameters of a flow run, in which a secret stands as asterisks. A run that is
begun from them, by a deployment or by a second try, finds its key elsewhere.
"""

from collections.abc import Mapping

from prefect.blocks.system import Secret
from pydantic import SecretStr

from flows.settings import ENV_PREFIX, NightSettings
from index_store.errors import UsageError

MISTRALS = ("MISTRAL_API_KEY", f"{ENV_PREFIX}MISTRAL_API_KEY")
_FURTHER = ("embed_fallback_key", "embed_other_key")


def with_key(settings: NightSettings, environment: Mapping[str, str]) -> NightSettings:
    """Return settings that hold the key of the embedding provider, if there is one anywhere.

    What is set goes first, then the file that `embed_key_file` names, then the block that
    `embed_key_block` names, then the environment.

    Args:
        settings: What the run is told.
        environment: Environment variables.

    Raises:
        UsageError: There is no such block.
    """
    known = settings.model_copy(
        update={
            "embed_api_key": _unless_masked(settings.embed_api_key),
            "mistral_api_key": _unless_masked(settings.mistral_api_key),
            **{name: _unless_masked(getattr(settings, name)) for name in _FURTHER},
        }
    )
    updates: dict[str, SecretStr | None] = {}
    if known.embed_api_key is None and not known.embed_key_file:
        if known.embed_key_block:
            updates["embed_api_key"] = _of_block(known.embed_key_block)
        else:
            updates["embed_api_key"] = _of_environment(environment, f"{ENV_PREFIX}EMBED_API_KEY")
    if known.mistral_api_key is None:
        updates["mistral_api_key"] = _of_environment(environment, *MISTRALS)
    for name in _FURTHER:
        if getattr(known, name) is None:
            updates[name] = _of_environment(environment, f"{ENV_PREFIX}{name.upper()}")
    return known.model_copy(update=updates)


def _unless_masked(key: SecretStr | None) -> SecretStr | None:
    if key is None or not key.get_secret_value().strip("*"):
        return None
    return key


def _of_environment(environment: Mapping[str, str], *names: str) -> SecretStr | None:
    found = next((environment[name] for name in names if environment.get(name)), "")
    return SecretStr(found) if found else None


def _of_block(name: str) -> SecretStr:
    try:
        block = Secret.load(name)
    except ValueError as error:
        raise UsageError(
            f"embed_key_block {name!r}: there is no such Secret block on this Prefect server"
        ) from error
    if not isinstance(block, Secret):  # a coroutine, where an event loop runs already
        raise UsageError("embed_key_block can only be read outside of an event loop")
    return SecretStr(str(block.get()))
