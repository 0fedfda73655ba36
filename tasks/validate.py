"""Task: check the candidate before anybody may see it."""

import logging

from prefect import task

from index_store.artifacts import Artifact
from index_store.log_records import PublishedVersion
from tasks.policies import policy
from tasks.references import CandidateReference, PlanReference, ValidationReference
from tasks.resources import Stopwatch, workshop
from tasks.stages.planning import Base, production_shards, read_base
from tasks.stages.run_files import read_plan
from tasks.stages.run_options import RunOptions
from tasks.stages.validating import Losses, validate

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
    findings = validate(
        shop.storage,
        unpublished,
        _losses(options, base, candidate.lost),
        frozenset(production_shards(shop.storage, base)),
        shop.new_vectors(),
        exact_rows=options.build.exact_rows,
    )
    failed = [finding for finding in findings if not finding.passed]
    logger.info("%d checks, %d failed", len(findings), len(failed))
    return ValidationReference(findings=findings, span=stopwatch.span())


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
