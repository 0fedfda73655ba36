"""The wheel serves a search in an environment that has the retriever's packages alone."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest

from tests.house.test_locks import read_lock
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


def install(programs: Path, lock: Path) -> None:
    """Install a lock as an image of the retriever does."""
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    options = ("-qq", "--no-deps", "--no-compile", "--require-hashes")
    call(*pip, "install", *options, "-r", lock, cwd=programs.parent)


def link(programs: Path, lock: Path) -> None:
    """Lend it the files of a lock, and no others, that are installed where the tests run."""
    (packages,) = programs.parent.glob("lib/python*/site-packages")
    for name, version in read_lock(lock).items():
        found = distribution(name)
        assert found.version == version, f"{name}: {found.version} is installed, not {version}"
        for file in found.files or ():
            if not {"..", "__pycache__"}.intersection(file.parts):
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                (packages / file).symlink_to(file.locate())


@pytest.fixture(scope="module", params=[link, pytest.param(install, marks=pytest.mark.soak)])
def environment(
    tmp_path_factory: pytest.TempPathFactory,
    root: Path,
    wheel: Path,
    request: pytest.FixtureRequest,
) -> Path:
    """The programs of a new environment with the retriever's lock and the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    programs = folder / "bin"
    request.param(programs, root / "requirements" / "retriever.txt")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "install", "-qq")
    call(*pip, "--no-deps", "--no-compile", "--no-index", wheel, cwd=folder)
    return programs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    publisher = Publisher(tmp_path_factory.mktemp("published"))
    publisher.publish("docs", {"train.txt": [SENTENCE]})
    return publisher.url


def test_the_wheel_holds_the_rooms_and_no_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
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
