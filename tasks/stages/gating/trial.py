"""Open a version that is not promoted yet and put it through every gate.

Invariants: nothing is written; all findings are told at once.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from index_store.embedder import Embedder
from index_store.embedders.registry import COMPUTED_HERE, spec_string
from index_store.embeddings import EmbeddingStore
from index_store.errors import UsageError
from index_store.log_records import PublishedVersion
from index_store.manifest import Manifest
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from tasks.stages.gating.comparison import Compared, Side, compare
from tasks.stages.gating.evidence import Judged, Probe
from tasks.stages.gating.expectation import Engine
from tasks.stages.gating.gate import judge
from tasks.stages.gating.options import PROBE_TEXTS, GateOptions
from tasks.stages.run_options import RunOptions
from tasks.stages.workshop import open_run_embedder

_logger = logging.getLogger("nightpress.validate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A version and what it is compared with.

    Attributes:
        candidate: The version; every hash of its files was compared a moment ago.
        base: Manifest of the version that it was built on, None for a first one.
        live: The version in production, None when there is none.
        worked: Names of the documents that the run parsed for the first time.
        proven: Ids of shards that are in production already.
    """

    candidate: PublishedVersion
    base: Manifest | None
    live: PublishedVersion | None
    worked: Sequence[str]
    proven: frozenset[str]


def put_through_gates(
    storage: Storage,
    trial: Trial,
    embedder: Embedder,
    vectors: EmbeddingStore,
    options: RunOptions,
    engine: Engine,
) -> Compared:
    """Judge a version by every expectation and every question.

    Raises:
        UsageError: A setting of the gates cannot be followed.
        CorruptArtifactError: A file is damaged.
        TransientError: The store or an embedder is out of reach.
    """
    with ExitStack() as stack:
        opening = SnapshotOptions(verify=False, exact_rows=options.build.exact_rows)
        snapshot = stack.enter_context(
            Snapshot.open_published(storage, trial.candidate, options=opening)
        )
        judged = Judged(
            snapshot=snapshot,
            base=trial.base,
            worked=trial.worked,
            proven=trial.proven,
            max_tokens=options.chunk.max_tokens,
            allow_removal=options.change.allow_removal,
        )
        probe = Probe(
            embedder=embedder, vectors=vectors, texts=_probe_texts(embedder, options.gates)
        )
        findings = judge(storage, judged, probe, options.gates, engine)
        new = Side(snapshot=snapshot, embedder=embedder)
        compared = compare(new, _live_side(storage, trial, new, options, stack), options.gates)
    return Compared(findings=findings + compared.findings, figures=compared.figures)


def _probe_texts(embedder: Embedder, gates: GateOptions) -> int:
    if gates.probe_texts is not None:
        return gates.probe_texts
    return PROBE_TEXTS if embedder.spec.provider in COMPUTED_HERE else 0


def _live_side(
    storage: Storage, trial: Trial, new: Side, options: RunOptions, stack: ExitStack
) -> Callable[[], Side | None]:
    """Return what opens the live version, with an embedder of its own when that is another."""
    opening = SnapshotOptions(verify=False, exact_rows=options.build.exact_rows)

    def opened() -> Side | None:
        if trial.live is None:
            return None
        snapshot = stack.enter_context(
            Snapshot.open_published(storage, trial.live, options=opening)
        )
        spec = snapshot.manifest.embedder
        if spec.id == new.embedder.spec.id:
            return Side(snapshot=snapshot, embedder=new.embedder)
        try:
            embedder = open_run_embedder(
                replace(options.embed, spec=spec_string(spec), dimension=None, threads=1)
            )
        except UsageError as error:
            _logger.warning("the live version cannot be asked for comparison: %s", error)
            return None
        stack.callback(embedder.close)
        return Side(snapshot=snapshot, embedder=embedder) if embedder.spec.id == spec.id else None

    return opened
