"""Judge a version: measure it, then check every expectation; all findings are told at once."""

from index_store.storage.base import Storage
from tasks.stages.gating.evidence import Judged, Probe, measure
from tasks.stages.gating.expectation import Engine
from tasks.stages.gating.great_engine import GreatEngine, is_installed
from tasks.stages.gating.options import EngineName, GateOptions
from tasks.stages.gating.plain_engine import PlainEngine
from tasks.stages.gating.suites import suites
from tasks.stages.reporting import Finding


def judge(
    storage: Storage, judged: Judged, probe: Probe, options: GateOptions, engine: Engine
) -> tuple[Finding, ...]:
    """Return one finding per expectation.

    Raises:
        UsageError: The engine cannot be loaded.
        CorruptArtifactError: A file is damaged.
        TransientError: The store or the embedder is out of reach.
    """
    return engine.check(suites(measure(storage, judged, probe), options))


def open_engine(name: EngineName) -> Engine:
    """Return what checks expectations; close it at the end.

    Raises:
        UsageError: Great Expectations is asked for and is not installed.
    """
    if name is EngineName.GREAT or (name is EngineName.AUTO and is_installed()):
        return GreatEngine()
    return PlainEngine()
