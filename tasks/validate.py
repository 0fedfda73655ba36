"""Task: check the candidate before anybody may see it."""

import logging

from prefect import task

from index_store.artifacts import Artifact
from index_store.log_records import PRODUCTION, PublishedVersion
from tasks.policies import policy
from tasks.references import CandidateReference, PlanReference, ValidationReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.diffing import Action
from tasks.stages.gating.trial import Trial, put_through_gates
from tasks.stages.planning import Base, production_shards, read_base
from tasks.stages.run_files import read_plan
from tasks.stages.run_options import RunOptions
from tasks.stages.validating import Losses, validate

# Documents that are tried again because they failed before say nothing about this night.
FRESH = (Action.ADDED, Action.CHANGED, Action.REEMBEDDED)

logger = logging.getLogger("nightpress.validate")


@task(**policy("validate", run_name="validate-{options.collection}"))
def validate_candidate(
    options: RunOptions, plan: PlanReference, candidate: CandidateReference
) -> ValidationReference:
    """Open the candidate and try it; all findings are returned."""
    stopwatch = Stopwatch()
    shop = workshop(options)
    shop.check_model(again=True)
    stored = read_plan(shop.storage, plan.key)
    base = read_base(shop.storage, options.collection, stored.base)
    unpublished = PublishedVersion(
        version=candidate.sha256,
        manifest=Artifact(
            key=candidate.key, size_bytes=candidate.size_bytes, sha256=candidate.sha256
        ),
        parent=stored.base,
        published_at_ms=0,
        run=options.run,
        seq=0,
    )
    proven = frozenset(production_shards(shop.storage, base))
    vectors = shop.new_vectors()
    findings = validate(
        shop.storage,
        unpublished,
        _losses(options, base, candidate.lost),
        proven,
        vectors,
        exact_rows=options.build.exact_rows,
    )
    trial = Trial(
        candidate=unpublished,
        base=base.manifest,
        live=base.state.versions.get(base.state.channels.get(PRODUCTION, "")),
        worked=[item.uri for item in stored.plan.items if item.action in FRESH],
        proven=proven,
    )
    gated = put_through_gates(
        shop.storage, trial, shop.embedder, vectors, options, shop.gate_engine()
    )
    findings += gated.findings
    blocking = sum(finding.blocks for finding in findings)
    warnings = sum(not finding.passed for finding in findings) - blocking
    logger.info("%d checks, %d block, %d warn", len(findings), blocking, warnings)
    return ValidationReference(findings=findings, figures=gated.figures, span=stopwatch.span())


def prepare_gates(options: RunOptions) -> None:
    """Open what checks the expectations, which loads while the run goes on."""
    if not options.shared:  # else a worker elsewhere checks them
        workshop(options).gate_engine()


def _losses(options: RunOptions, base: Base, lost: int) -> Losses:
    counts = None if base.manifest is None else base.manifest.counts
    return Losses(
        before=0 if counts is None else counts.documents,
        chunks_before=0 if counts is None else counts.chunks_live,
        lost=lost,
        allowed=options.change.allow_removal,
        share=options.change.tripwire_share,
        min_documents=options.change.tripwire_min_documents,
    )
