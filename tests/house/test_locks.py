"""The locks are complete, hashed, in step with pyproject.toml, and name no registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("runtime.txt", "dev.txt", "retriever.txt", "weights.txt")
PINNED = re.compile(r"^([a-z0-9][a-z0-9.\-\[\]]*)==([^\s;]+)(?: ; ([^\\]+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
NOT_FOR_SERVING = {"prefect", "unstructured", "great-expectations", "pypdfium2", "pandas"}


def read_lock(path: Path) -> dict[str, str]:
    """Names and versions of a lock; fails when a line is of any other form."""
    pins: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line.startswith("#") or HASH.match(line):
            continue
        pinned = PINNED.match(line)
        assert pinned, f"{path.name}: {line!r} is neither a pin nor a hash"
        pins[canonicalize_name(pinned[1].partition("[")[0])] = pinned[2]
    return pins


def pins_of(path: Path) -> set[str]:
    """Every pin of a lock with its hashes, as written."""
    lines = [line for line in path.read_text().splitlines(keepends=True) if line[0] != "#"]
    return set(re.split(r"^(?=\S)", "".join(lines).rstrip() + "\n", flags=re.MULTILINE)) - {""}


def requirements_of(root: Path, *extras: str) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_exact_and_hashed(root: Path, name: str):
    text = (root / "requirements" / name).read_text()
    assert read_lock(root / "requirements" / name)
    pins = pins_of(root / "requirements" / name)
    unhashed = [pin for pin in pins if "==" in pin and "--hash=sha256:" not in pin]
    assert unhashed == []
    assert "://" not in text


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("runtime.txt", ("retriever", "pipeline")),
        ("retriever.txt", ("retriever",)),
        ("dev.txt", ("retriever", "pipeline", "llama", "mistral")),
    ],
)
def test_a_lock_holds_what_pyproject_asks_for(root: Path, lock: str, extras: tuple[str, ...]):
    pins = read_lock(root / "requirements" / lock)
    for requirement in requirements_of(root, *extras):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{lock} lacks {name}: run make locks"
        assert requirement.specifier.contains(pins[name]), f"{lock}: {requirement}, {pins[name]}"


def test_tests_run_with_the_versions_that_are_shipped(root: Path):
    dev = read_lock(root / "requirements" / "dev.txt")
    for lock in ("runtime.txt", "retriever.txt"):
        for name, version in read_lock(root / "requirements" / lock).items():
            assert dev.get(name) == version, f"{lock}: {name}"


def test_a_pin_has_the_same_hashes_in_every_lock(root: Path):
    dev = pins_of(root / "requirements" / "dev.txt")
    for lock in ("runtime.txt", "retriever.txt"):
        assert pins_of(root / "requirements" / lock) <= dev


def test_the_retriever_needs_neither_prefect_nor_parsers(root: Path):
    pins = read_lock(root / "requirements" / "retriever.txt")
    assert NOT_FOR_SERVING.isdisjoint(pins)


def test_nothing_under_a_strong_copyleft_is_locked(root: Path):
    pins = read_lock(root / "requirements" / "dev.txt")
    assert {"pymupdf", "torch"}.isdisjoint(pins)
