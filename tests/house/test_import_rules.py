"""Imports point one way, and starting a command loads only what that command needs."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "prefect",
    "faiss",
    "onnxruntime",
    "pyarrow",
    "fastapi",
    "unstructured",
    "great_expectations",
    "llama_index",
    "pypdfium2",
    "docx",
    "openpyxl",
)


def loaded_by(statement: str, root: Path) -> set[str]:
    """Top-level modules in memory after a statement ran in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_import_contracts_hold(root: Path):
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_help_loads_nothing_heavy(root: Path):
    statement = (
        "from click.testing import CliRunner\n"
        "from flows.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0"
    )
    assert loaded_by(statement, root).isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["retriever.service", "retriever.server"])
def test_the_retriever_loads_no_pipeline(root: Path, module: str):
    loaded = loaded_by(f"import {module}", root)
    assert "fastapi" in loaded
    kept_out = {"prefect", "unstructured", "great_expectations", "flows", "tasks", "pandas"}
    assert loaded.isdisjoint(kept_out)
