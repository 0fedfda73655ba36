"""What is kept of a run that was told to end; how stops and failures are kept, e2e tests show."""

from dataclasses import replace
from pathlib import Path

import pytest

from index_store.storage.folder import FolderStorage
from tasks.recording import recorded
from tasks.references import Span, Timeline
from tasks.stages.run_records import RunEnd, read_records
from tests.support.plain_run import run_plainly
from tests.support.small_sources import COLLECTION, again, options_for, prose, write


class ToldToEndError(BaseException):
    """As what Prefect raises in a flow run that is cancelled."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "told to end (Ctrl-C)"),
        (ToldToEndError(), "told to end (ToldToEndError)"),
    ],
)
def test_a_run_that_is_told_to_end_is_kept_with_what_it_did(
    tmp_path: Path, error: BaseException, reason: str
):
    write(tmp_path / "source" / "a.txt", prose("alpha"))
    options = options_for(tmp_path / "source", str(tmp_path / "store"))
    run_plainly(options)
    timeline = Timeline(began_at_ms=1_000)
    timeline.add("scan", Span(start_s=1.0, end_s=3.0))
    later = again(options)
    with pytest.raises(type(error)), recorded("reindex", later, timeline):
        raise error
    (record,) = read_records(FolderStorage(tmp_path / "store"), COLLECTION, 9)
    assert (record.run, record.end, record.reason) == (later.run, RunEnd.INTERRUPTED, reason)
    assert (record.version, record.seconds) == (None, {"scan": 2.0})


def test_a_mistyped_store_is_left_alone(tmp_path: Path):
    options = replace(options_for(tmp_path), store=str(tmp_path / "stor"))
    with (
        pytest.raises(KeyboardInterrupt),
        recorded("reindex", options, Timeline(began_at_ms=0)),
    ):
        raise KeyboardInterrupt
    assert not (tmp_path / "stor").exists() or not list((tmp_path / "stor").iterdir())
