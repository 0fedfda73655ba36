"""Expiry as a flow: purge what was retired before, then retire what is not kept any more.

Invariants: composition only; a dry run unless asked otherwise; what one pass retires, only a later
run deletes.
"""

from prefect import flow

from flows.entries import entry, flow_policy
from flows.run_settings import new_run_id
from flows.settings import NightSettings
from index_store.retention import KEEP_LAST, RetentionPolicy
from tasks.expire import (
    ExpiryOptions,
    preview_expiry,
    purge_retired,
    retire_unkept,
    show_passes,
)

GRACE_HOURS = 24.0


@flow(**flow_policy("expire"))
@entry
def expire(
    settings: NightSettings,
    *,
    dry_run: bool = True,
    keep_last: int = KEEP_LAST,
    grace_hours: float = GRACE_HOURS,
) -> None:
    """Forget old versions and delete what nobody refers to.

    Args:
        settings: Store and collection.
        dry_run: Whether nothing is done but to say what would be.
        keep_last: Newest versions that are kept in any case.
        grace_hours: Nothing younger is retired, nothing retired more recently is deleted.

    Raises:
        CorruptArtifactError: The log has a gap, or a manifest or an object it names is missing.
        UnfitStoreError: A listing lacks an object that is there.
        ConflictError: Others kept writing to the log.
        UnknownOutcomeError: A record may have been written; nothing was deleted, run again.
    """
    retention = RetentionPolicy(keep_last=keep_last, grace_ms=round(grace_hours * 3_600_000))
    options = ExpiryOptions(
        store=settings.store,
        collection=settings.collection,
        retention=retention,
        run=new_run_id(),
    )
    if dry_run:
        preview_expiry(options)
        return
    purged = purge_retired(options)
    show_passes(options, purged, retire_unkept(options))
