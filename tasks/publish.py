"""Tasks: make the version visible, and move production to it."""

import logging
from dataclasses import replace

from prefect import task

from index_store.artifacts import Artifact, read_artifact
from index_store.log import CommitLog
from index_store.log_records import LogState
from index_store.manifest_codec import parse_manifest
from index_store.publisher import FAILED_CHECKS, promote, publish
from tasks.policies import policy
from tasks.references import (
    CandidateReference,
    PlanReference,
    ValidationReference,
    VersionReference,
)
from tasks.resources import Stopwatch, workshop
from tasks.stages.run_files import read_plan
from tasks.stages.run_options import RunOptions

logger = logging.getLogger("nightpress.publish")


@task(**policy("publish", run_name="publish-{options.collection}"))
def publish_version(
    options: RunOptions,
    plan: PlanReference,
    candidate: CandidateReference,
    validation: ValidationReference,
) -> VersionReference:
    """Append the version to the log; the channel `candidate` moves to it."""
    stopwatch = Stopwatch()
    storage = workshop(options).storage
    artifact = Artifact(key=candidate.key, size_bytes=candidate.size_bytes, sha256=candidate.sha256)
    manifest = parse_manifest(read_artifact(storage, artifact))
    quality = {finding.check: finding.message for finding in validation.findings}
    done = publish(
        storage,
        CommitLog(storage, options.collection),
        replace(manifest, quality=quality),
        LogState(channels=read_plan(storage, plan.key).channels),
        reason=_blocked_by(validation),
    )
    return VersionReference(version=done.version, span=stopwatch.span())


@task(**policy("promote", run_name="promote-{options.collection}"))
def promote_version(
    options: RunOptions, plan: PlanReference, published: VersionReference
) -> VersionReference:
    """Move production to the version, unless somebody moved it meanwhile."""
    stopwatch = Stopwatch()
    storage = workshop(options).storage
    promote(
        CommitLog(storage, options.collection),
        published.version,
        run=options.run,
        reason="checks passed",
        expected=LogState(channels=read_plan(storage, plan.key).channels),
    )
    return VersionReference(version=published.version, span=stopwatch.span())


def _blocked_by(validation: ValidationReference) -> str:
    """Return why the version stays a candidate, empty when it need not."""
    if validation.passed:
        return ""
    names = ", ".join(finding.check for finding in validation.findings if finding.blocks)
    return f"{FAILED_CHECKS}: {names}"
