"""Tasks: take documents out of what is served, remove their bytes, forget the request."""

import logging

from prefect import task

from index_store.clock import system_clock_ms
from index_store.storage.opening import open_storage
from tasks.policies import policy
from tasks.stages.erasing import Erased, EraseOptions, erase, read_request
from tasks.stages.erasure_report import PurgeReport, purge_and_certify
from tasks.stages.run_files import remove_run

logger = logging.getLogger("nightpress.erase")


@task(**policy("erase", run_name="erase-{options.collection}"))
def erase_documents(options: EraseOptions) -> Erased:
    """Publish and promote a version without the documents."""
    storage = open_storage(options.store)
    uris = read_request(storage, options.request)
    erased = erase(
        storage, options.collection, uris, run=options.run, created_at_ms=system_clock_ms()
    )
    logger.info("erased %d documents, %d chunks", erased.documents, erased.chunks)
    return erased


@task(**policy("purge", run_name="purge-{options.collection}"))
def purge_documents(options: EraseOptions) -> PurgeReport:
    """Remove the bytes of the documents and look for what is left."""
    storage = open_storage(options.store)
    uris = read_request(storage, options.request)
    report = purge_and_certify(
        storage, options.collection, uris, run=options.run, created_at_ms=system_clock_ms()
    )
    logger.info("deleted %d objects, clean: %s", len(report.purged.keys), report.certificate.clean)
    return report


@task(**policy("forget-request", run_name="forget-request-{options.collection}"))
def forget_request(options: EraseOptions) -> tuple[str, ...]:
    """Remove the list of documents from the store and return it."""
    storage = open_storage(options.store)
    uris = read_request(storage, options.request)
    remove_run(storage, options.collection, options.run)
    return uris
