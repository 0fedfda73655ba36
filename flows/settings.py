"""Every setting: where its value comes from, and the table of them all.

The settings themselves, with default, unit and meaning, stand in `setting_groups`, by subject.

Precedence: flags, then environment (`NIGHTPRESS_*`, then the names of the system taken over), then
`nightpress.toml`, then the default. Settings are read once, at entry, and never change afterwards.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, SecretStr, ValidationError

from flows.setting_groups.building import BuildingSettings
from flows.setting_groups.chatting import ChattingSettings
from flows.setting_groups.deploying import DeployingSettings
from flows.setting_groups.embedding import EmbeddingSettings
from flows.setting_groups.evaluating import EvaluatingSettings
from flows.setting_groups.gating import GatingSettings
from flows.setting_groups.operating import OperatingSettings
from flows.setting_groups.parsing import ParsingSettings
from flows.setting_groups.serving import ServingSettings
from flows.setting_groups.source import SourceSettings
from flows.setting_groups.spreading import SpreadingSettings
from index_store.errors import UsageError

ENV_PREFIX = "NIGHTPRESS_"
CONFIG_FILE = "nightpress.toml"

# Names of the system taken over, still accepted in the environment.
LEGACY_NAMES = {
    "DOCS_DIR": "source",
    "VECTOR_INDEX_DIR": "store",
    "MAX_LOADERS": "parse_workers",
    "EMBED_DIM": "embed_dimension",
    "BATCH_SIZE": "index_batch_rows",
    "HNSW_M": "hnsw_m",
    "HNSW_EF_CONS": "hnsw_ef_construction",
    "HNSW_EF_SEARCH": "hnsw_ef_search",
    "MIN_CHUNK_LENGTH": "min_chunk_chars",
    "FORCE_INITIAL": "full",
    "MISTRAL_API_KEY": "mistral_api_key",
    "FILES_HOST": "files_host",
    "DOCS_ROOT_DIR": "docs_root_dir",
}


class NightSettings(
    OperatingSettings,
    SpreadingSettings,
    EvaluatingSettings,
    GatingSettings,
    BuildingSettings,
    EmbeddingSettings,
    ParsingSettings,
    SourceSettings,
):
    """What a run can be told: the form of a deployment in the Prefect UI, but for keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(DeployingSettings, ChattingSettings, ServingSettings, NightSettings):
    """What a person can set. See `settings_table` for the printed form.

    Pydantic lists the fields of the last group first.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Settings together with what the person should be told about them.

    Attributes:
        settings: The values.
        notices: One line per name in the environment that is old or unknown.
    """

    settings: Settings
    notices: tuple[str, ...] = ()


def load_settings(
    flags: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None
) -> LoadedSettings:
    """Merge flags, environment, file and defaults.

    Args:
        flags: Values given on the command line, by setting name; None means not given.
        environment: Environment variables.
        config: Settings file; None means `nightpress.toml` in the working folder, if it is there.

    Returns:
        The settings, every value checked.

    Raises:
        UsageError: A name is unknown or a value is refused; every problem is listed.
    """
    values: dict[str, object] = dict(_from_file(config))
    legacy, notices = _from_legacy(environment)
    values.update(legacy)
    values.update(_from_environment(environment))
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None
    if settings.chunk_overlap_tokens * 2 > settings.max_chunk_tokens:
        raise UsageError(
            f"chunk_overlap_tokens {settings.chunk_overlap_tokens} is more than half of "
            f"max_chunk_tokens {settings.max_chunk_tokens}"
        )
    return LoadedSettings(settings=settings, notices=(*notices, *_unknown_names(environment)))


def settings_table() -> str:
    """Return the Markdown table of every setting, for the README."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    legacy = {name: old for old, name in LEGACY_NAMES.items()}
    for name, info in Settings.model_fields.items():
        old = f" (also `{legacy[name]}`)" if name in legacy else ""
        rows.append(f"| `{name}`{old} | {_shown(info.default)} | {info.description} |")
    return "\n".join(rows) + "\n"


def _from_file(config: Path | None) -> dict[str, object]:
    path = config or Path(CONFIG_FILE)
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        if config is None:
            return {}
        raise UsageError(f"settings file {str(path)!r} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"settings file {str(path)!r} cannot be read: {error}") from None


def _from_legacy(environment: Mapping[str, str]) -> tuple[dict[str, object], tuple[str, ...]]:
    values: dict[str, object] = {}
    notices = []
    for old, name in LEGACY_NAMES.items():
        given = environment.get(old, "")
        if given and f"{ENV_PREFIX}{name.upper()}" not in environment:
            values[name] = given
            notices.append(f"{old} is accepted; its name here is {ENV_PREFIX}{name.upper()}")
    return values, tuple(notices)


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in environment.items():
        name = key.removeprefix(ENV_PREFIX).lower()
        if key.startswith(ENV_PREFIX) and name in Settings.model_fields:
            values[name] = value
    return values


def _unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{key} is not a setting and is ignored; the README lists them"
        for key in sorted(environment)
        if key.startswith(ENV_PREFIX)
        and key.removeprefix(ENV_PREFIX).lower() not in Settings.model_fields
    )


def _explain(error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            problems.append(f"setting {name!r} is unknown")
        else:
            shown = "" if _is_secret(name) else f", found {problem['input']!r}"
            problems.append(
                f"setting {name!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}{shown}"
            )
    return "; ".join(problems)


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("key", "secret", "proxy"))


def _shown(default: object) -> str:
    if default is None or default in ("", (), SecretStr("")):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return "`" + " ".join(str(part) for part in default) + "`"
    return f"`{default}`"
