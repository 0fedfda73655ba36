"""Every key that a program may rely on, and nothing but one object on standard output."""

from pathlib import Path
from typing import Any

from tests.support.command_line import CommandLine
from tests.support.small_sources import BROKEN_PDF, pdf, prose, write

ODD_NAMES = ("new\nline.txt", "emoji 🌙.txt", 'quote".txt', "percent %41.txt")
NOT_UTF8 = b"caf\xe9.txt"


def test_every_command_keeps_its_json_keys(nightpress: CommandLine, source: Path):
    write(source / "wages.md", f"# Wages\n\n{prose('wages')}")
    write(source / "tides.pdf", pdf(prose("tides")))
    write(source / "bad.pdf", BROKEN_PDF)
    write(source / "short.txt", "these few words are too short for a chunk")

    plan = nightpress.as_script()("plan", "--json").json
    assert {"added", "changed", "moved", "reembedded", "removed", "kept", "retry"} <= plan.keys()
    assert plan["counts"]["added"] == 4
    assert all(item["uri"] and item["reason"] for item in plan["added"])
    assert plan["estimate"].keys() == {
        *("chunks", "tokens", "cost", "sources", "at_night_rate"),
        *("price_per_million_tokens", "price_from"),
    }

    ended = nightpress.as_script()("run", "--json")
    run = ended.json
    assert ended.err.splitlines()[0].startswith("start")
    assert run.keys() >= {"run", "version", "parent", "unchanged", "without_chunks", "skipped"}
    assert run["documents"] == {
        "added": 3,
        "changed": 0,
        "moved": 0,
        "reembedded": 0,
        "removed": 0,
        "kept": 0,
        "rejected": 1,
    }
    assert run["chunks"].keys() == {"total", "new", "dead"}
    assert run["embedding"].keys() == {"texts", "tokens", "requests", "reused"}
    assert run["cost"].keys() == {
        *("price_per_million_tokens", "price_from", "spent", "billed_tokens", "told_tokens"),
        *("night_tokens", "refused", "pooled", "sources"),
    }
    assert run["seconds"].keys() >= {"start", "scan", "plan", "parse", "embed", "build", "publish"}
    assert run["parent"] is None
    assert run["promoted"] is True
    assert run["without_chunks"] == []
    assert [(entry["uri"], entry["reason"]) for entry in run["rejections"]] == [
        ("bad.pdf", "corrupt")
    ]
    assert run["rejections"][0]["detail"]

    check_looks(nightpress, run)
    again = nightpress("run", "--json").json
    assert again["unchanged"] is True
    assert again["version"] == run["version"]
    assert again["documents"]["kept"] == 3
    assert again["embedding"] == {"texts": 0, "tokens": 0, "requests": 0, "reused": 0}
    assert "parse" not in again["seconds"]
    check_runs(nightpress, run, source)


def check_runs(nightpress: CommandLine, run: dict[str, Any], source: Path) -> None:
    """Break the source and compare what is told of the runs with how each of them ended."""
    source.rename(source.with_name("elsewhere"))
    nightpress("run", code=3)
    told = nightpress("runs", "--json").json
    assert [each["end"] for each in told["runs"]] == ["stopped", "unchanged", "published"]
    stopped, unchanged, published = told["runs"]
    assert str(source) in stopped["reason"]
    assert stopped.keys() == published.keys()
    assert published["documents"] == run["documents"]
    assert published["cost"].items() <= run["cost"].items()
    assert unchanged["version"] == published["version"] == run["version"]
    assert published["seconds_in_all"] >= max(published["seconds"].values())
    assert told["unfinished"] == []
    assert nightpress("runs", "--limit", "1").out.count("\n") == 2
    told = nightpress("report", "--json").json
    assert told == {"version": run["version"], "path": told["path"], "opened": False}
    assert "bad.pdf" in Path(told["path"]).read_text()
    assert nightpress("report", run["version"][:12]).out.strip() == told["path"]
    assert {each["stage"] for each in run["timeline"]} >= {"scan", "parse", "build", "publish"}
    assert all(0 <= each["start_s"] <= each["end_s"] for each in run["timeline"])


def check_looks(nightpress: CommandLine, run: dict[str, Any]) -> None:
    """Compare what the commands that only look say with what the run said."""
    found = nightpress("search", "Sentence 2 of tides says what the tides rule", "--json").json
    assert found["version"] == run["version"]
    first = found["hits"][0]
    assert first.keys() >= {"score", "uri", "page", "sheet", "slide", "section", "text"}
    assert (first["uri"], first["page"]) == ("tides.pdf", 1)
    more = (
        "-k",
        "1",
        "--most-k",
        "3",
        "--good-score",
        "1",
        "--recency",
        "0.2",
        "--half-life-days",
        "9",
    )
    asked = ("search", "What do the tides rule?", "--json")
    assert len(nightpress(*asked, "-k", "1").json["hits"]) == 1
    assert len(nightpress(*asked, *more).json["hits"]) > 1

    (collection,) = nightpress("status", "--json").json["collections"]
    assert collection["channels"] == {"candidate": run["version"], "production": run["version"]}
    assert (collection["documents"], collection["rejected"]) == (3, 1)
    assert collection["chunks"] == run["chunks"]["total"]
    assert collection["size_bytes"] > 0
    assert collection["age_s"] >= 0

    rejected = nightpress("rejected", "--json").json
    assert rejected["version"] == run["version"]
    assert rejected["rejections"] == run["rejections"]


def test_odd_names_go_through_and_json_and_tables_stay_readable(
    nightpress: CommandLine, source: Path
):
    for number, name in enumerate(ODD_NAMES):
        write(source / name, prose(f"odd {number}"))
    with open(bytes(source) + b"/" + NOT_UTF8, "wb") as stream:  # noqa: PTH123 - a name of bytes
        stream.write(prose("coffee").encode())
    write(source / "bad\x1b[31m.pdf", BROKEN_PDF)

    run = nightpress("run", "--json").json
    assert run["documents"]["added"] == len(ODD_NAMES) + 1
    coffee = nightpress("search", "Sentence 1 of coffee says what", "-k", "1", "--json").json
    assert coffee["hits"][0]["uri"] == "caf%E9.txt"
    moon = nightpress("search", "Sentence 1 of odd 1 says what", "-k", "1", "--json").json
    assert moon["hits"][0]["uri"] == "emoji 🌙.txt"
    for command in (["rejected"], ["plan"], ["search", "odd 0 rule number 0"]):
        shown = nightpress(*command)
        assert "\x1b" not in shown.out
        assert "new\nline" not in shown.out
