"""Bad nights stay out of production, each for its reason; ordinary nights go through."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.log import CommitLog
from index_store.log_records import PRODUCTION
from tasks.stages.gating.expectation import Severity
from tests.support.ordinary_nights import ordinary_night
from tests.support.plain_run import run_plainly
from tests.support.planted_nights import (
    REGRESSIONS,
    Place,
    Regression,
    collection,
    copy_of,
    golden_file,
    run_options,
)
from tests.support.small_sources import COLLECTION, trusted

QUICK = ("a parser garbles", "vectors are shuffled", "one department is missing")


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The collection in production, made once."""
    folder = tmp_path_factory.mktemp("good")
    place = Place(source=folder / "source", storage=trusted("good"), folder=folder)
    collection(place.source)
    report = run_plainly(run_options(place.source, golden_file(folder)), place.storage)
    assert report.promoted, [each for each in report.findings if not each.passed]
    return place


def production(place: Place) -> str:
    return CommitLog(place.storage, COLLECTION).read().channels[PRODUCTION]


@pytest.mark.parametrize(
    "regression",
    [
        pytest.param(each, id=each.name, marks=[] if each.name in QUICK else [pytest.mark.soak])
        for each in REGRESSIONS
    ],
)
def test_a_planted_regression_stays_a_candidate(
    regression: Regression, good_night: Place, tmp_path: Path
):
    place = copy_of(good_night, tmp_path)
    live = production(place)
    options = run_options(place.source, golden_file(place.folder))
    report = run_plainly(regression.plant(place, options) or options, place.storage)
    stopped = {each.check for each in report.findings if each.blocks}
    assert regression.stopped_by in stopped, stopped
    assert not report.promoted
    assert production(place) == live != report.version


@pytest.mark.soak
def test_twenty_ordinary_nights_are_never_blocked(good_night: Place, tmp_path: Path):
    place = copy_of(good_night, tmp_path)
    golden = golden_file(place.folder)
    for night in range(20):
        ordinary_night(place, night)
        report = run_plainly(run_options(place.source, golden), place.storage)
        blocking = [each for each in report.findings if each.blocks]
        assert not blocking, f"night {night}: {blocking}"
        assert report.promoted, f"night {night}"


def test_a_severity_lets_a_version_through_with_a_warning(good_night: Place, tmp_path: Path):
    place = copy_of(good_night, tmp_path)
    options = run_options(place.source)
    shutil.rmtree(place.source / "legal")
    softened = {"folders": Severity.WARN, "inventory/kept": Severity.OFF}
    report = run_plainly(
        replace(options, gates=replace(options.gates, severities=softened)), place.storage
    )
    told = {each.check: each for each in report.findings}
    assert report.promoted
    assert not told["folders/kept"].passed
    assert "legal/" in told["folders/kept"].message
    assert "inventory/kept" not in told
