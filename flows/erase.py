"""Erasure on one screen.

    erase ─► publish ─► promote ─► [ purge ─► certify ]

Invariants: composition only; the names of documents reach Prefect neither as parameters nor in
lines of its log.
"""

from prefect import flow

from flows.entries import flow_policy
from index_store.clock import system_clock_ms
from tasks.erase import erase_documents, forget_request, purge_documents
from tasks.stages.erasing import EraseOptions
from tasks.stages.erasure_report import ErasureReport


@flow(**flow_policy("erase"))
def erase(options: EraseOptions) -> ErasureReport:
    """Take documents out of what is served, and with `purge` out of the store.

    Args:
        options: What the erasure is told; the documents are read from the store.

    Raises:
        UsageError: A channel or a pin holds a version that a purge would have to retire.
        ConflictError: Runs kept publishing first.
    """
    at_ms = system_clock_ms()
    erased = erase_documents(options)
    purged = purge_documents(options) if options.purge else None
    return ErasureReport(
        store=options.store,
        collection=options.collection,
        uris=forget_request(options),
        at_ms=at_ms,
        erased=erased,
        purge=purged,
    )
