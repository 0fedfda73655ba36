"""What the README tells a newcomer to type works, in a clone and in the order written."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.settings import settings_table

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = re.compile(r"<!-- settings:.*?-->\n(.*)<!-- /settings -->", re.DOTALL)
LINK = re.compile(r"\]\((?!http)([^)#]+)\)")
SERVING = "make serve"
# The demo takes every default, which is what it is for. What comes after it shows that the commands
# work, not the embedder, the gates and two dozen parsers once more.
CHEAP = {
    "NIGHTPRESS_EMBEDDER": "hashing",
    "NIGHTPRESS_GATE_ENGINE": "built-in",
    "NIGHTPRESS_EXTENSIONS": ".txt:.md:.pdf",
}

WaitUntilReady = Callable[[str, "subprocess.Popen[bytes]"], None]


class Clone:
    """A copy of the tracked files that shares the environment of the tests."""

    def __init__(self, folder: Path, port: int, ui_port: int) -> None:
        self.folder, self.port, self.ui_port = folder, port, ui_port
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("NIGHTPRESS_", "PREFECT_"))
        }
        self.environment = kept | {
            "HOME": str(folder),
            "PORT": str(self.port),
            "UI_PORT": str(self.ui_port),
        }

    def run(self, line: str) -> str:
        """Run one line as typed; its standard output, and its errors when it fails."""
        typed = line.replace(":8080/", f":{self.port}/")
        is_cheap = "nightpress/mine" in line or line == "make ui"
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=self.folder,
            env=self.environment | (CHEAP if is_cheap else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def serving(self, wait_until_ready: WaitUntilReady) -> Iterator[None]:
        """Keep `make serve` running until the retriever answers and after, for what follows."""
        process = subprocess.Popen(
            ["bash", "-c", SERVING], cwd=self.folder, env=self.environment, start_new_session=True
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{self.port}", process)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


@pytest.fixture(scope="module")
def clone(
    tmp_path_factory: pytest.TempPathFactory,
    root: Path,
    tracked: list[Path],
    free_ports: tuple[int, int],
) -> Clone:
    folder = tmp_path_factory.mktemp("clone")
    for path in tracked:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    environment = folder / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in ("python.stamp", "runtime.stamp", "dev.stamp"):
        (environment / stamp).touch()
    return Clone(folder, *free_ports)


def lines_of(readme: str) -> list[str]:
    blocks = BLOCK.findall(readme)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.slow
def test_every_command_works_in_the_order_written(clone: Clone, wait_until_ready: WaitUntilReady):
    lines = lines_of((clone.folder / "README.md").read_text())
    outputs: dict[str, str] = {}
    before, after = lines[: lines.index(SERVING)], lines[lines.index(SERVING) + 1 :]
    for line in before:
        outputs[line] = clone.run(line)
    with clone.serving(wait_until_ready):
        while after and after[0].startswith("curl "):
            line = after.pop(0)
            outputs[line] = clone.run(line)
    try:
        for line in after:
            outputs[line] = clone.run(line)
    finally:
        clone.run("make ui-stop")

    assert "Téléchargement-interrompu.pdf" in outputs["make demo"]
    assert "page " in outputs["make demo"]
    assert "nothing" in clone.run("make demo")
    found = json.loads(next(out for line, out in outputs.items() if "/v1/search" in line))
    assert found["hits"][0]["uri"].endswith("fr/La-démission.pdf")
    assert all(hit["uri"].startswith("fr/") for hit in found["hits"])
    assert f"http://127.0.0.1:{clone.ui_port}" in outputs["make ui"]


def test_the_settings_table_is_the_one_of_the_code(root: Path):
    written = SETTINGS.search((root / "README.md").read_text())
    assert written
    assert written[1] == settings_table()


def test_every_link_of_the_readme_leads_somewhere(root: Path):
    targets = LINK.findall((root / "README.md").read_text())
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []
