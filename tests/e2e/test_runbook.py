"""Every command of the runbook, in the order written, over a small store that is in that state."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from index_store.collections import load_manifest
from index_store.log import CommitLog
from index_store.storage.folder import FolderStorage
from tests.support.command_line import CommandLine
from tests.support.prefect_service import PREFECT
from tests.support.small_sources import prose, write

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENDS_WITH = re.compile(r"\s+# ends with (\d)$")


class Office:
    """A collection, and the states in which the sections of the runbook find it."""

    def __init__(self, folder: Path, nightpress: CommandLine) -> None:
        self.folder, self.nightpress = folder, nightpress
        self.source, self.store = folder / "source", FolderStorage(folder / "store")
        for number in range(6):
            write(self.source / f"{number}.txt", prose(f"topic {number}"))
        write(self.source / "people" / "dupont.txt", prose("dupont"))

    @property
    def channels(self) -> dict[str, str]:
        return dict(CommitLog(self.store, "documents").read().channels)

    def changed(self) -> None:
        """A night in which something changed."""
        write(self.source / "0.txt", prose("another topic"))
        self.nightpress("run")

    def blocked(self) -> None:
        """A night after which a version stays a candidate."""
        write(self.source / "new.txt", prose("new"))
        golden = self.folder / "golden.json"
        golden.write_text(json.dumps([{"question": "new", "documents": ["nowhere.txt"]}]))
        told = ("--set", f"golden_questions={golden}", "--set", "golden_least=1")
        self.nightpress("run", *told, code=3)

    def damaged(self) -> None:
        """A file of the version in production is not what was written."""
        self.nightpress("run", "--full")
        published = CommitLog(self.store, "documents").read().versions[self.channels["production"]]
        index = self.folder / "store" / load_manifest(self.store, published).shards[0].index.key
        data = bytearray(index.read_bytes())
        data[len(data) // 2] ^= 0xFF
        index.write_bytes(data)

    def words(self, line: str) -> list[str]:
        """A line as typed, with names in the place of words in capitals."""
        named = {
            "PRODUCTION": self.channels.get("production", ""),
            "CANDIDATE": self.channels.get("candidate", ""),
            "BAD": self.channels.get("candidate", ""),
            "DOCUMENT": "people/dupont.txt",
            "NEW-EMBEDDER": "hashing:128",
        }
        return [named.get(word, word) for word in shlex.split(line, comments=True)]


def test_every_command_of_the_runbook_works(nightpress: CommandLine, tmp_path: Path, source: Path):
    office = Office(tmp_path, nightpress)
    nightpress.environment["NIGHTPRESS_COLLECTION"] = "documents"
    states: dict[str, Callable[[], object]] = {
        "The night failed": lambda: nightpress("run"),
        "A gate blocked the version": office.blocked,
        "A bad version was promoted": office.changed,
        "The store is damaged": office.damaged,
        "Erase a person's data": (source / "people" / "dupont.txt").unlink,
    }
    sections = dict(SECTION.findall((ROOT / "deployments" / "RUNBOOK.md").read_text()))
    assert states.keys() < sections.keys()
    for title, text in sections.items():
        lines = [line for block in BLOCK.findall(text) for line in block.splitlines() if line]
        assert lines, f"section {title!r} has no command"
        states.get(title, lambda: None)()
        for line in lines:
            run(office, line)


def run(office: Office, line: str) -> None:
    ends_with = ENDS_WITH.search(line)
    program, *words = office.words(line)
    if program == "nightpress":
        if words[0] == "deploy":
            words += ["--file", str(ROOT / "deployments" / "prefect.yaml")]
        office.nightpress(*words, code=int(ends_with[1]) if ends_with else 0)
        return
    assert program == "prefect"
    environment = os.environ | office.nightpress.environment
    subprocess.run([PREFECT, *words], env=environment, check=True, capture_output=True)
