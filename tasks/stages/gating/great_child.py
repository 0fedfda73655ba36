"""The process that loads Great Expectations and checks the suites that it is given.

    suites, a line of JSON on standard input ─► {name: whether it is met} on standard output

Great Expectations' analytics are off before it is loaded, its progress bars too; nothing is looked
up or sent. Its Data Docs load parts of their pages from other hosts, so a version gets our own page
instead, which needs none.
"""

import json
import os
import sys
import warnings
from typing import Any

from tasks.stages.gating.expectation import Kind

NO_ANALYTICS = "GX_ANALYTICS_ENABLED"

os.environ[NO_ANALYTICS] = "false"
warnings.simplefilter("ignore")  # what it and its packages have to say to developers

import great_expectations as gx  # noqa: E402
import pandas as pd  # noqa: E402
from great_expectations import expectations  # noqa: E402
from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: E402

Json = dict[str, Any]


def main() -> None:
    """Check what comes in until standard input ends."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("version")
    answer = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    passed: dict[str, bool] = {}
    for line in sys.stdin:  # one, or none when the run needs no answer
        for suite in json.loads(line):
            passed |= _checked(source, suite)
    json.dump(passed, answer)
    answer.flush()  # at its end Python flushes what is called sys.stdout then


def _checked(source: Any, suite: Json) -> dict[str, bool]:  # noqa: ANN401 - foreign
    asset = source.add_dataframe_asset(suite["name"])
    frame = pd.DataFrame(suite["columns"], dtype="float64")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    made = gx.ExpectationSuite(name=suite["name"])
    for expectation in suite["expectations"]:
        made.add_expectation(_translated(expectation))
    results = {each.expectation_config.meta["name"]: each for each in batch.validate(made).results}
    return {
        each["name"]: bool(results[each["name"]].success) or not frame[each["column"]].notna().any()
        for each in suite["expectations"]
    }


def _translated(expectation: Json) -> Any:  # noqa: ANN401 - foreign
    asked = {
        "column": expectation["column"],
        "min_value": expectation["least"],
        "max_value": expectation["most"],
        "meta": {"name": expectation["name"]},
        "notes": expectation["protects"],
    }
    if expectation["kind"] == Kind.MEAN.value:
        return expectations.ExpectColumnMeanToBeBetween(**asked)  # type: ignore[attr-defined]
    return expectations.ExpectColumnValuesToBeBetween(  # type: ignore[attr-defined]
        mostly=expectation["mostly"], **asked
    )


if __name__ == "__main__":
    main()
