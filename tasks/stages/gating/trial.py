"""Open a version that is not promoted yet and put it through every gate.

Invariants: nothing is written; all findings are told at once.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from index_store.embedder import Embedder
from index_store.embedders.registry import COMPUTED_HERE, spec_string
from index_store.embeddings import EmbeddingStore
from index_store.errors import StoppedError, TransientError, UsageError
from index_store.log_records import PublishedVersion
from index_store.manifest import Manifest
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from tasks.stages.gating.comparison import Compared, Side, compare
from tasks.stages.gating.evidence import Judged, Probe
from tasks.stages.gating.expectation import Engine
from tasks.stages.gating.gate import judge
from tasks.stages.gating.options import PROBE_TEXTS, GateOptions
from tasks.stages.run_options import EmbedOptions, RunOptions
from tasks.stages.workshop import open_run_embedder


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
    """Return what opens the live version, with an embedder of its own when that is another.

    It raises UsageError when that embedder cannot be asked.
    """
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
        embedder = _open_live(spec_string(spec), options.embed)
        stack.callback(embedder.close)
        if embedder.spec.id != spec.id:
            raise UsageError(
                f"{spec.provider}/{spec.model} is there in revision {embedder.spec.revision}, not "
                f"in {spec.revision}"
            )
        try:
            embedder.embed_question("Is anybody there?")
        except (StoppedError, TransientError) as error:
            raise UsageError(str(error)) from error
        return Side(snapshot=snapshot, embedder=embedder)

    return opened


def _open_live(spec: str, embed: EmbedOptions) -> Embedder:
    """Open the embedder of the live version, which is another one than that of the run.

    Raises:
        UsageError: There is none of this name, or it is another provider's and nothing is known of
            how that is reached: one provider's key is not sent to another.
    """
    provider = embed.spec.partition(":")[0]
    remote = replace(embed.remote, fallbacks=(), provider=provider)
    return open_run_embedder(
        replace(embed, spec=spec, dimension=None, threads=1, remote=remote, budget=None)
    )
