import pytest
from prefect.states import Failed

from index_store import errors
from index_store.errors import IndexStoreError, TransientError
from tasks.policies import may_pass, policy
from tasks.scan import scan_sources

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, IndexStoreError)
]


@pytest.mark.parametrize("kind", [*KINDS, ValueError], ids=lambda kind: kind.__name__)
def test_only_errors_that_may_pass_are_retried(kind: type[Exception]):
    state = Failed(data=kind("it went wrong"))
    assert may_pass(scan_sources, None, state) is issubclass(kind, TransientError)  # type: ignore[arg-type]


def test_nothing_is_answered_from_a_cache_and_no_task_run_waits_for_a_slot():
    options = policy("embed", run_name="embed-{number}")
    assert options["persist_result"] is False
    assert options["name"] == "embed"
    assert "tags" not in options
    assert scan_sources.tags == set()
    assert "retries" not in policy("parse", run_name="parse", retried=False)
