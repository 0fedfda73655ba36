"""What `nightpress deploy` is going to make: read from files and settings, without a server.

Invariants: pure but for reading files; no key and no address of a channel stands in a plan but as
the value of a block; folders are absolute, because a worker starts runs in a folder of its own.
"""

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.settings import NightSettings, Settings
from index_store.errors import UsageError
from tasks.stages.listing import parse_sources

SECRETS = ("mistral_api_key", "embed_api_key", "judge_api_key")
PATHS = (
    "golden_questions", "evaluation_questions", "replay_log", "embed_key_file", "embed_pace_file",
    "embed_ca_bundle",
)  # fmt: skip
CHANNELS = ("webhook", "slack", "email")
LIKE = {
    "slack": "https://hooks.slack.com/services/T…/B…/…",
    "email": "mailtos://USER:PASSWORD@SMTP-HOST?to=ADDRESS",
}
DEFAULT_FILE = Path("deployments/prefect.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDeployment:
    """One deployment, as it shall be.

    Attributes:
        flow: Name of the flow.
        name: Name of the deployment; the collection.
        entrypoint: Module and function.
        description: What it does.
        tags: Tags of it and of its runs.
        parameters: Plain values.
        schedules: Cron and time zone of each.
        limit: Runs at the same time.
        collision: What happens to one more.
        job_variables: What its runs' processes are given.
    """

    flow: str
    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    schedules: tuple[tuple[str, str], ...]
    limit: int
    collision: str
    job_variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPool:
    """The work pool.

    Attributes:
        name: Its name.
        kind: `process`, `docker` or `kubernetes`.
        job_variables: Defaults of its variables.
        job_configuration: What is laid over Prefect's own template.
    """

    name: str
    kind: str
    job_variables: Mapping[str, Any]
    job_configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """Everything that one collection needs on a Prefect server.

    Attributes:
        pool: Its work pool.
        queue: Its queue in it, of one run at a time.
        deployments: Its deployments.
        automations: As Prefect takes them, but for the ids of blocks.
        blocks: Values of blocks by `TYPE/NAME`.
    """

    pool: PlannedPool
    queue: str
    deployments: tuple[PlannedDeployment, ...]
    automations: tuple[Mapping[str, Any], ...]
    blocks: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOptions:
    """What the command is told beside the settings.

    Attributes:
        file: Where the deployments are; automations and work pools lie beside it.
        cron: When the night begins; empty leaves what the file says.
        time_zone: Where it begins then; empty leaves what the file says.
        pool: Name of the work pool; empty leaves what the file says.
        pool_kind: What runs are there.
        image: Image of runs that are containers; empty leaves what the file says.
    """

    file: Path = DEFAULT_FILE
    cron: str = ""
    time_zone: str = ""
    pool: str = ""
    pool_kind: str = "process"
    image: str = ""


def plan_deployment(settings: Settings, options: DeployOptions) -> DeploymentPlan:
    """Decide what there shall be on the server.

    Args:
        settings: What the runs are told, and who is notified.
        options: Where the files are and what is to be otherwise than they say.

    Raises:
        UsageError: A file is missing or not of the form it must have, or no night would read a
            source.
    """
    if settings.stored_text:
        raise UsageError(
            "stored_text reads no source, so no night would find a new document; it is for a "
            "single run: leave it out"
        )
    read = _read(options.file)
    folder = options.file.parent
    told = run_parameters(settings)
    entries = read.get("deployments")
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{options.file} has no list `deployments`")
    pool = _pool(folder, entries[0], options)
    has_questions = bool(settings.evaluation_questions or settings.golden_questions)
    return DeploymentPlan(
        pool=pool,
        queue=settings.collection,
        deployments=tuple(
            _deployment(entry, settings, told, options)
            for entry in entries
            if has_questions or not str(entry["entrypoint"]).endswith(".evaluate")
        ),
        automations=_automations(folder / "automations", settings),
        blocks=_blocks(settings),
    )


def run_parameters(settings: NightSettings) -> dict[str, Any]:
    """Return the settings of a run that are not the defaults, as plain values without keys."""
    told: dict[str, Any] = {"collection": settings.collection, "store": settings.store}
    plain = settings.model_dump(mode="json", include=set(NightSettings.model_fields))
    for name, info in NightSettings.model_fields.items():
        if name not in SECRETS and getattr(settings, name) != info.default:
            told[name] = plain[name]
    for name in ("store", *PATHS):
        if told.get(name):
            told[name] = _absolute(str(told[name]))
    told["source"] = [
        (f"{source.label}=" if source.label else "") + (source.url or str(source.root.absolute()))
        for source in parse_sources(settings.source)
    ]
    return told


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


def _deployment(
    entry: Mapping[str, Any], settings: Settings, told: Mapping[str, Any], options: DeployOptions
) -> PlannedDeployment:
    entrypoint = str(entry["entrypoint"])
    flow = entrypoint.rpartition(".")[2]
    limit = entry.get("concurrency_limit") or {}
    job_variables = dict(entry.get("work_pool", {}).get("job_variables") or {})
    if options.image:
        job_variables["image"] = options.image
    return PlannedDeployment(
        flow=flow,
        name=settings.collection,
        entrypoint=entrypoint,
        description=str(entry.get("description", "")),
        tags=("nightpress", f"collection:{settings.collection}"),
        parameters={**entry.get("parameters", {}), "settings": dict(told)},
        schedules=tuple(
            (
                options.cron if options.cron and flow == "reindex" else str(schedule["cron"]),
                options.time_zone or str(schedule.get("timezone", "UTC")),
            )
            for schedule in entry.get("schedules") or ()
        ),
        limit=int(limit.get("limit", 1)),
        collision=str(limit.get("collision_strategy", "ENQUEUE")),
        job_variables=job_variables,
    )


def _pool(folder: Path, entry: Mapping[str, Any], options: DeployOptions) -> PlannedPool:
    read = _read(folder / "work_pools" / f"{options.pool_kind}.yaml")
    return PlannedPool(
        name=options.pool or str(entry.get("work_pool", {}).get("name", "nightpress")),
        kind=str(read["type"]),
        job_variables=dict(read.get("job_variables") or {}),
        job_configuration=dict(read.get("job_configuration") or {}),
    )


def _automations(folder: Path, settings: Settings) -> tuple[Mapping[str, Any], ...]:
    """Read the files that apply: those of a channel only when the channel has an address."""
    unused = {f"notify-{name}.yaml" for name in CHANNELS if not _address(settings, name)}
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name not in unused]
    if not files:
        raise UsageError(f"{folder} holds no automations; it lies beside the file of deployments")
    return tuple(automation for path in files for automation in _read(path)["automations"])


def _blocks(settings: Settings) -> dict[str, str]:
    """Return the addresses of channels; one that Apprise cannot read would never be told."""
    kinds = {"webhook": "webhook", "slack": "slack-webhook", "email": "slack-webhook"}
    addresses = {name: _address(settings, name) for name in CHANNELS}
    for name, address in addresses.items():
        if address and kinds[name] == "slack-webhook" and not is_apprise_address(address):
            raise UsageError(
                f"notify_{name} is no address that a message can be sent to; "
                f"it looks like {LIKE[name]}"
            )
    return {
        f"{kinds[name]}/nightpress-{name}": address
        for name, address in addresses.items()
        if address
    }


def _address(settings: Settings, channel: str) -> str:
    """Return an address or ""; a mail is plain text unless its address names another format."""
    secret = getattr(settings, f"notify_{channel}")
    address = "" if secret is None else str(secret.get_secret_value())
    # Apprise takes what it mails for HTML: lines would run together, and what is in <> be lost.
    if address.startswith(("mailto://", "mailtos://")) and not re.search("[?&]format=", address):
        address += ("&" if "?" in address else "?") + "format=text"
    return address


def is_apprise_address(address: str) -> bool:
    """Return whether Apprise, through which Prefect's block sends, knows where an address leads."""
    from apprise import Apprise  # noqa: PLC0415 - takes a while, and only these channels need it

    log = logging.getLogger("apprise")
    was_silent, log.disabled = log.disabled, True  # it shows what it cannot read, passwords and all
    try:
        with warnings.catch_warnings():  # it loads all its plugins, and one imports an old module
            warnings.simplefilter("ignore", DeprecationWarning)
            return bool(Apprise().add(address))
    finally:
        log.disabled = was_silent


def _read(path: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be read: {error.strerror}; it is part of nightpress, "
            "name your copy with --file"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{str(path)!r} is not YAML: {error}") from None
    if not isinstance(read, dict):
        raise UsageError(f"{str(path)!r} holds no mapping")
    return read


def laid_over(base: Any, change: Any) -> Any:  # noqa: ANN401 - plain values of any shape
    """Return plain values with others laid over them; lists element by element."""
    if isinstance(base, Mapping) and isinstance(change, Mapping):
        return {
            **base,
            **{key: laid_over(base.get(key), value) for key, value in change.items()},
        }
    if _is_list(base) and _is_list(change):
        merged = [laid_over(one, other) for one, other in zip(base, change, strict=False)]
        return [*merged, *base[len(merged) :], *change[len(merged) :]]
    return change


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
