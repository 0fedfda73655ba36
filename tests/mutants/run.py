"""Plant small mistakes into the modules that publish and delete: do their tests notice?

    python tests/mutants/run.py                          every mistake of every module: hours
    python tests/mutants/run.py --sample 20 --seed 1     twenty of each module
    python tests/mutants/run.py --module index_store.retention --json report.json

A mistake is planted in a child process of its own, which runs the module's narrow tests and stops
at the first that fails; nothing on disk changes. Ends with 1 when less than 85 % are noticed.
"""

import argparse
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from mistakes import Mutant, mutants_of, mutated
from store_modules import LONG, TESTS

GOAL = 0.85
EXPLAINED = Path(__file__).with_name("survivors.toml")
ROOT = Path(__file__).parents[2]
CPU_LIMIT_S = 60  # of a child: a loop without end is noticed
CLOCK_LIMIT_S = 300  # of a child that waits for ever
# Loaded once, before the fork; the modules under test are not.
LIBRARIES = (
    *("numpy", "orjson", "pyarrow", "pyarrow.parquet", "faiss", "tantivy", "pyroaring"),
    *("hypothesis", "aiobotocore.session", "botocore.exceptions"),
)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one module with a mistake in it."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - its place in the protocol
        return self._code


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path = name, str(path)
        self._loader = _Loader(name, self._path, code)

    def find_spec(
        self,
        fullname: str,
        path: object,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self._loader)


def source_path(module: str) -> Path:
    """Return where a module's text is."""
    return ROOT / f"{module.replace('.', '/')}.py"


def notices(module: str, place: int | None) -> bool:
    """Tell whether the tests of a module fail with a mistake in it; None plants nothing."""
    child = os.fork()
    if child == 0:
        _run_child(module, place)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(CLOCK_LIMIT_S)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    _end_group(child)
    return status != 0


def _end_group(child: int) -> None:
    """End the servers that the tests of a child started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def _run_child(module: str, place: int | None) -> None:
    """Run the tests and end this process: 0 when all passed."""
    os.setpgid(0, 0)
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
        quiet = os.open(os.devnull, os.O_WRONLY)
        if place is not None:
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            path = source_path(module)
            tree = mutated(path.read_text("utf-8"), place)
            sys.meta_path.insert(0, _Finder(module, path, compile(tree, str(path), "exec")))
        with tempfile.TemporaryDirectory() as folder:
            options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/pytest"]
            narrow = ["-m", "not soak and not slow", "-k", f"not ({LONG})"]
            status = int(pytest.main([*options, *narrow, *TESTS[module]]))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        os._exit(status)


def examine(module: str, chosen: Sequence[Mutant]) -> list[Mutant]:
    """Return the mistakes that no test of the module notices."""
    if notices(module, None):
        raise SystemExit(f"{module}: its tests fail without any mistake planted")
    survivors = []
    for mutant in chosen:
        if not notices(module, mutant.place):
            survivors.append(mutant)
            print(f"  not noticed, line {mutant.line}: {mutant.name}", flush=True)
    return survivors


def main() -> None:
    """Print a line per module and end with 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="tests/mutants/run.py")
    parser.add_argument("--module", action="append", choices=sorted(TESTS), help="only this one")
    parser.add_argument("--sample", type=int, help="so many of each module; else all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--json", type=Path, help="write a report to this file")
    asked = parser.parse_args()
    explained = set(tomllib.loads(EXPLAINED.read_text("utf-8"))["explained"])
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # half of a child's time
    for library in LIBRARIES:
        importlib.import_module(library)
    planted, survivors = 0, []
    for module in asked.module or TESTS:
        known = mutants_of(module, source_path(module).read_text("utf-8"))
        chosen = known
        if asked.sample is not None and asked.sample < len(known):
            drawn = random.Random(f"{asked.seed} {module}")  # noqa: S311
            chosen = sorted(drawn.sample(known, asked.sample), key=lambda each: each.place)
        found = examine(module, chosen)
        planted += len(chosen)
        survivors += found
        print(
            f"{module}: {len(chosen) - len(found)} of {len(chosen)} noticed ({len(known)} known)",
            flush=True,
        )
    share = 1 - len(survivors) / max(1, planted)
    unexplained = [each.name for each in survivors if each.name not in explained]
    if asked.json is not None:
        report = {
            "planted": planted,
            "noticed": planted - len(survivors),
            "survivors": [
                asdict(each) | {"explained": each.name in explained} for each in survivors
            ],
        }
        asked.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(f"{share:.1%} of {planted} noticed; {len(survivors)} not, {len(unexplained)} unexplained")
    if share < GOAL:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
