"""What one run is told, as plain values that travel to any worker.

Invariants: frozen; nothing here is open, a worker opens what it needs from these values alone; no
secret is ever part of it.
"""

from dataclasses import dataclass, field

from index_store.embedders.remote.options import RemoteOptions
from index_store.shard_options import RecallOptions
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.gating.options import GateOptions
from tasks.stages.listing import ScanOptions, Source
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.parse_options import DEFAULT_OPTIONS, ParseOptions
from tasks.stages.parsing.tika import NO_SERVER, TikaOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions:
    """How a run judges changes.

    Attributes:
        full: Whether every document is indexed anew.
        stored_text: Whether no source is read and every text is taken from the last version.
        retry_rejected: Whether every rejected document is tried again.
        keep_last_good: Whether a changed document that fails keeps its last good chunks.
        allow_removal: Whether the run goes on although the tripwire would stop it.
        tripwire_share: Largest share of documents that may vanish, in [0, 1].
        tripwire_min_documents: Vanished documents below which the share is not looked at.
    """

    full: bool = False
    stored_text: bool = False
    retry_rejected: bool = False
    keep_last_good: bool = True
    allow_removal: bool = False
    tripwire_share: float = 0.2
    tripwire_min_documents: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOptions:
    """How much is embedded at the night rate, and how long it may take.

    Attributes:
        least_texts: New texts of a run below which all are embedded directly.
        job_texts: Texts of one job at most.
        wait_s: Seconds after which what is late is embedded directly.
        poll_s: Seconds between two looks at the jobs.
    """

    least_texts: int = 2_000
    job_texts: int = 20_000
    wait_s: float = 6 * 3600.0
    poll_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """Which embedder makes the vectors.

    Attributes:
        spec: Name of the embedder, as `open_embedder` takes it.
        threads: Threads of a local embedder, at least 1.
        dimension: Dimension that the embedder must have, or None for any.
        remote: How a provider over the network is reached, paced and paid.
        budget: Most that a run may spend, in the provider's currency; None for no bound.
        night: How the night rate is used; None when it is not.
    """

    spec: str = "offline"
    threads: int = 1
    dimension: int | None = None
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    budget: float | None = None
    night: NightOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How shards are built and searched.

    Attributes:
        m: Links per vector in the HNSW graph.
        ef_construction: Candidates looked at while building.
        ef_search: Candidates looked at while searching.
        add_batch_rows: Vectors added at a time; part of a shard's identity.
        max_shard_rows: Rows above which a new shard is begun.
        checkpoint_rows: Rows after which an unfinished shard is checkpointed.
        threads: Threads that build one shard.
        exact_rows: Live rows up to which search is exact.
        storage: How shards store vectors: `flat`, `fp16` or `sq8`.
        recall: How the recall of graphs is measured and what it must be.
    """

    m: int = 32
    ef_construction: int = 100
    ef_search: int = 64
    add_batch_rows: int = 5000
    max_shard_rows: int = 500_000
    checkpoint_rows: int = 50_000
    threads: int = 1
    exact_rows: int = 50_000
    storage: str = "fp16"
    recall: RecallOptions = field(default_factory=RecallOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Everything one run is told.

    Attributes:
        run: Id of the run, unique, sorts by time.
        store: URL of the store.
        collection: Name of the collection.
        sources: Where documents come from.
        scan: What counts as a document.
        change: How changes are judged.
        limits: Bounds on one document.
        parsing: What parsers are told besides the document.
        tika: The server that is asked when no parser here does.
        chunk: How text is cut.
        embed: What makes vectors.
        build: How shards are built.
        gates: How the new version is judged.
        parse_workers: Parser processes.
        batch_documents: Documents in one batch at most.
        promote: Whether production moves to the new version when its checks pass.
        single_writer: Whether somebody vouches that only one run writes to the store at a time.
        shared: Whether several machines work on the run; a number of workers or threads that is 0
            then means as many as each of them has cores.
    """

    run: str
    store: str
    collection: str
    sources: tuple[Source, ...]
    scan: ScanOptions
    change: ChangeOptions = field(default_factory=ChangeOptions)
    limits: Limits = field(default_factory=Limits)
    parsing: ParseOptions = DEFAULT_OPTIONS
    tika: TikaOptions = NO_SERVER
    chunk: ChunkOptions = field(default_factory=ChunkOptions)
    embed: EmbedOptions = field(default_factory=EmbedOptions)
    build: BuildOptions = field(default_factory=BuildOptions)
    gates: GateOptions = field(default_factory=GateOptions)
    parse_workers: int = 1
    batch_documents: int = 200
    promote: bool = True
    single_writer: bool = False
    shared: bool = False
