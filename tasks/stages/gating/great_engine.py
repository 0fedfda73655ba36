"""Checks expectations with Great Expectations; the one door to it.

It takes seconds to load, so it is imported when suites are checked and never before. Its analytics
are off before it is loaded, its progress bars too; nothing is looked up or sent. Its Data Docs load
parts of their pages from other hosts, so a version gets our own page instead, which needs none.
"""

import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from index_store.errors import UsageError
from tasks.stages.gating.expectation import Expectation, Kind, Severity, Suite, finding
from tasks.stages.reporting import Finding

PACKAGE = "great_expectations"
NO_ANALYTICS = "GX_ANALYTICS_ENABLED"


def is_installed() -> bool:
    """Tell whether the package is there, without loading it."""
    return find_spec(PACKAGE) is not None


class GreatEngine:
    """Checks suites with Great Expectations.

    Raises:
        UsageError: It is not installed.
    """

    def __init__(self) -> None:
        if not is_installed():
            raise UsageError(
                "setting 'gate_engine': great-expectations is not installed; install "
                "nightpress[gates], or set gate_engine to auto or built-in"
            )

    def check(self, suites: Sequence[Suite]) -> tuple[Finding, ...]:
        """Return one finding per expectation that is not off, in order."""
        os.environ[NO_ANALYTICS] = "false"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it and its packages have to say to developers
            import great_expectations as gx  # noqa: PLC0415 - loads for seconds
            import pandas as pd  # noqa: PLC0415 - likewise
            from great_expectations.data_context.types.base import (  # noqa: PLC0415 - likewise
                ProgressBarsConfig,
            )

            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            source = context.data_sources.add_pandas("version")
            return tuple(
                result for suite in suites for result in _check_suite(gx, pd, source, suite)
            )


def _check_suite(gx: ModuleType, pd: ModuleType, source: Any, suite: Suite) -> list[Finding]:  # noqa: ANN401 - foreign
    watched = [each for each in suite.expectations if each.severity is not Severity.OFF]
    if not watched:
        return []
    asset = source.add_dataframe_asset(suite.name)
    frame = pd.DataFrame(dict(suite.frame.columns), dtype="float64")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    made = gx.ExpectationSuite(name=suite.name)
    for expectation in watched:
        made.add_expectation(_translated(gx, expectation))
    results = {each.expectation_config.meta["name"]: each for each in batch.validate(made).results}
    return [
        finding(
            each,
            suite.frame,
            passed=bool(results[each.name].success) or not frame[each.column].notna().any(),
        )
        for each in watched
    ]


def _translated(gx: ModuleType, expectation: Expectation) -> Any:  # noqa: ANN401 - foreign
    bounds = {"min_value": expectation.least, "max_value": expectation.most}
    about = {"meta": {"name": expectation.name}, "notes": expectation.protects}
    if expectation.kind is Kind.MEAN:
        return gx.expectations.ExpectColumnMeanToBeBetween(
            column=expectation.column, **bounds, **about
        )
    return gx.expectations.ExpectColumnValuesToBeBetween(
        column=expectation.column, mostly=expectation.mostly, **bounds, **about
    )
