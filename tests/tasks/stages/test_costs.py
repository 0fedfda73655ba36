"""What the nights cost, as a table and as a picture."""

import base64
import re

import orjson
import pytest
from lxml import etree

from index_store.artifacts import Artifact
from index_store.layout import report_key
from index_store.log_records import LogState, PublishedVersion
from index_store.storage.memory import MemoryStorage
from tasks.stages.costs import (
    NightCost,
    SourceCost,
    cost_history,
    costs_markdown,
    costs_svg,
    source_totals,
)

DAY_MS = 86_400_000


def nights(*spent: float) -> list[NightCost]:
    return [
        NightCost(
            at_ms=number * DAY_MS,
            version=f"{number:064x}",
            tokens=1_000 * (number + 1),
            night_tokens=0,
            spent=amount,
        )
        for number, amount in enumerate(spent)
    ]


def heights(svg: str) -> list[float]:
    drawn = etree.fromstring(svg.encode())
    return [float(bar.get("height", "0")) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")]


def test_bars_are_as_high_as_what_was_spent():
    found = heights(costs_svg(nights(1.0, 4.0, 2.0)))
    assert found == [40.0, 160.0, 80.0]


def test_when_nothing_costs_anything_bars_are_tokens():
    assert heights(costs_svg(nights(0.0, 0.0))) == [80.0, 160.0]
    assert heights(costs_svg([])) == []


def test_the_table_holds_every_night_and_the_picture():
    told = costs_markdown(nights(0.25, 0.5))
    assert "2 nights cost 0.7500 together" in told
    assert told.index("1970-01-02") < told.index("1970-01-01")
    picture = re.search(r"base64,([^)]+)\)", told)
    assert picture is not None
    assert heights(base64.b64decode(picture[1]).decode()) == [80.0, 160.0]


def test_the_history_is_read_from_reports_and_passes_over_what_has_none():
    storage = MemoryStorage("store")
    versions = {}
    for number in range(4):
        version = f"{number:064x}"
        versions[version] = PublishedVersion(
            version=version,
            manifest=Artifact(key="k", size_bytes=1, sha256="0" * 64),
            parent=None,
            published_at_ms=number * DAY_MS,
            run="r",
            seq=number + 1,
        )
        report = {"embedding": {"tokens": number}, "cost": {"spent": number / 2}}
        storage.put(report_key("docs", version), orjson.dumps(report))
    storage.put(report_key("docs", f"{1:064x}"), b"damaged")
    storage.delete(report_key("docs", f"{2:064x}"))
    found = cost_history(storage, "docs", LogState(versions=versions))
    assert [(night.day, night.tokens, night.spent) for night in found] == [
        ("1970-01-01", 0, 0.0),
        ("1970-01-04", 3, 1.5),
    ]
    assert cost_history(storage, "docs", LogState(versions=versions), nights=1) == found[1:]


def of_sources(day: int, **spent: float | None) -> NightCost:
    sources = {name: SourceCost(tokens=100, spent=amount) for name, amount in spent.items()}
    known = None not in spent.values()
    return NightCost(
        at_ms=day * DAY_MS,
        version=f"{day:064x}",
        tokens=100 * len(spent),
        night_tokens=0,
        told_tokens=100,
        spent=sum(amount or 0.0 for amount in spent.values()) if known else None,
        sources=sources,
    )


def test_a_bar_has_a_part_for_every_source_and_the_table_adds_them_up():
    told = [of_sources(1, law=1.0, wages=3.0), of_sources(2, law=2.0)]
    assert heights(costs_svg(told)) == [40.0, 120.0, 80.0]  # the same colour at the bottom
    page = costs_markdown(told)
    assert page.index("| law | 200 | 3.0000 |") < page.index("| wages | 100 | 3.0000 |")
    assert "| 1970-01-02 | 000000000000 | 200 | 100 | 0 | 4.0000 |" in page


def test_the_dearest_sources_have_colours_and_the_others_share_one():
    spent = {f"s{number}": 10.0 - number for number in range(9)}
    picture = costs_svg([of_sources(1, **spent)])
    assert len(heights(picture)) == 6
    assert "s4: " in picture
    assert "s5: " not in picture
    assert sum(heights(picture)) == pytest.approx(160.0, abs=1.0)


def test_what_has_no_price_is_called_unknown_and_not_nothing():
    told = [of_sources(1, law=1.0), of_sources(2, law=None, wages=None)]
    page = costs_markdown(told)
    assert "2 nights cost 1.0000 together, not counting 1 whose price was not known." in page
    assert "| 200 | 100 | 0 | unknown |" in page
    assert source_totals(told)["law"] == SourceCost(tokens=200, spent=None)
