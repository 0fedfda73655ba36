"""Keys that are kept in Prefect's Secret blocks."""

from prefect.blocks.system import Secret
from pydantic import SecretStr

from flows.settings import NightSettings
from index_store.errors import UsageError


def with_key(settings: NightSettings) -> NightSettings:
    """Return settings that hold the key which `embed_key_block` names, unless they hold one.

    Raises:
        UsageError: There is no such block.
    """
    if not settings.embed_key_block or settings.embed_api_key is not None:
        return settings
    try:
        block = Secret.load(settings.embed_key_block)
    except ValueError as error:
        raise UsageError(
            f"embed_key_block {settings.embed_key_block!r}: there is no such Secret block on this "
            "Prefect server"
        ) from error
    if not isinstance(block, Secret):  # a coroutine, where an event loop runs already
        raise UsageError("embed_key_block can only be read outside of an event loop")
    return settings.model_copy(update={"embed_api_key": SecretStr(str(block.get()))})
