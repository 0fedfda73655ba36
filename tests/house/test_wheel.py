"""The wheel serves a search in an environment that has the retriever's packages alone."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.retriever.publishing import Publisher

ABSENT = ("prefect", "unstructured", "great_expectations", "pypdfium2", "llama_index")
SENTENCE = "The night train to the observatory leaves at eleven and arrives before dawn."


def call(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, root: Path, tracked: list[Path]) -> Path:
    source = tmp_path_factory.mktemp("source")
    for path in tracked:
        target = source / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", source / "dist")
    call(sys.executable, "-m", "pip", "wheel", "-qq", *options, source, cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, root: Path, wheel: Path) -> Path:
    """The programs of a new environment with the retriever's lock and the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    programs = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    install = (*pip, "install", "-qq", "--no-deps", "--no-compile")
    lock = root / "requirements" / "retriever.txt"
    call(*install, "--require-hashes", "-r", lock, cwd=folder)
    call(*install, "--no-index", wheel, cwd=folder)
    return programs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    publisher = Publisher(tmp_path_factory.mktemp("published"))
    publisher.publish("docs", {"train.txt": [SENTENCE]})
    return publisher.url


def test_the_wheel_holds_the_rooms_and_no_tests(wheel: Path, environment: Path, tmp_path: Path):
    code = "import zipfile, sys; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep='\\n')"
    names = call(environment / "python", "-c", code, wheel, cwd=tmp_path).splitlines()
    folders = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert folders == {"flows", "tasks", "index_store", "retriever"}
    assert "index_store/FORMAT.md" in names
    assert "tasks/stages/morning/page.css" in names


@pytest.mark.slow
def test_a_search_is_served_without_the_pipeline(
    environment: Path,
    store: str,
    free_ports: tuple[int, int],
    tmp_path: Path,
    wait_until_ready: Callable[[str, "subprocess.Popen[bytes]"], None],
):
    code = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    assert call(environment / "python", "-c", code, cwd=tmp_path).strip() == "[]"
    url = f"http://127.0.0.1:{free_ports[0]}"
    command = [environment / "nightpress", "serve", "--store", store, "--port", str(free_ports[0])]
    process = subprocess.Popen(command, cwd=tmp_path)
    try:
        wait_until_ready(url, process)
        answer = httpx.post(f"{url}/v1/search", json={"query": SENTENCE, "k": 1}).json()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    assert process.returncode == 0
    assert answer["hits"][0]["uri"].endswith("train.txt")
    assert answer["hits"][0]["text"] == SENTENCE
