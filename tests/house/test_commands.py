"""The commands of the house explain themselves and their failures."""

import re
import subprocess
import sys
from pathlib import Path


def run_make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", root, *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command(root: Path):
    declared = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    listed = set(re.findall(r"^  make ([a-z-]+)", run_make(root, "help").stdout, re.MULTILINE))
    assert listed == set(declared[1].split())


def test_a_missing_python_is_answered_with_what_to_install(root: Path, tmp_path: Path):
    done = run_make(root, f"VENV={tmp_path}/none", "PYTHON=/nowhere/python3", "demo")
    assert done.returncode == 2
    assert "apt-get install python3.11" in done.stderr
    assert not (tmp_path / "none").exists()


def test_serving_before_the_demo_says_what_to_do_first(root: Path, tmp_path: Path):
    environment = tmp_path / "env"
    environment.mkdir()
    for stamp in ("python.stamp", "runtime.stamp"):
        (environment / stamp).touch()
    done = run_make(root, f"VENV={environment}", f"STORE={tmp_path}/none", "serve")
    assert done.returncode == 2
    assert "make demo first" in done.stderr


def test_a_python_without_venv_is_answered_with_its_package(root: Path, tmp_path: Path):
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    done = run_make(root, f"VENV={tmp_path}/none", f"PYTHON={python}", "demo")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 2
    assert f"apt-get install python{version}-venv" in done.stderr
