"""The pool: every way in which a document can misbehave ends as an outcome, and capacity stays."""

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from index_store.errors import StoppedError, TransientError, UsageError
from index_store.records import Reason
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Outcome

_HERE = Path(__file__).parent
_OBEY = "hostile_parsers:obey"
_CHUNKER = "hostile_parsers:one_chunk_each"
_MEBIBYTE = 1 << 20
_BRED = 32  # the keeper, the parser, and three processes for each of its ten forks
# Wall limits are far above what an obedient document needs, and hang tests wait them out in full.
_PATIENT = Limits(wall_s=120, memory_bytes=1024 * _MEBIBYTE, output_bytes=_MEBIBYTE)
_HASTY = Limits(wall_s=1, memory_bytes=1024 * _MEBIBYTE, output_bytes=_MEBIBYTE)


@pytest.fixture(autouse=True)
def _hostile_parsers_can_be_imported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(_HERE))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for the children's scratch folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def patient() -> Iterator[ParsePool]:
    with ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER)) as pool:
        yield pool


def test_a_child_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "orjson.py").write_text("raise ImportError('orjson is not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER)) as pool:
        asked = pool.submit(tmp_path / "any.txt", _OBEY)
        with pytest.raises(TransientError, match="not start: ImportError: orjson is not installed"):
            asked.result()


class Orders:
    """Writes documents that tell the hostile parser what to do, and submits them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0

    def submit(
        self, pool: ParsePool, order: str, sidecars: tuple[str, ...] = ()
    ) -> Future[Outcome]:
        self.written += 1
        path = self.folder / f"order-{self.written}.txt"
        path.write_text(order)
        return pool.submit(path, _OBEY, sidecars=sidecars)

    def run(self, pool: ParsePool, order: str) -> Outcome:
        return self.submit(pool, order).result()


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(tmp_path)


def _text(outcome: Outcome) -> str:
    assert outcome.rejection is None, outcome.rejection
    assert outcome.chunks is not None
    return outcome.chunks[0].text


def _reason(outcome: Outcome) -> Reason:
    assert outcome.chunks is None
    assert outcome.rejection is not None
    return outcome.rejection.reason


def test_healthy_document_comes_out_with_hash_and_parser(patient: ParsePool, orders: Orders):
    outcome = orders.run(patient, "say three plain words")

    assert _text(outcome) == "three plain words"
    assert outcome.content_hash == hashlib.sha256(b"say three plain words").hexdigest()
    assert outcome.parser.startswith(f"{_OBEY}/")


@pytest.mark.parametrize(
    ("order", "reason", "detail"),
    [
        ("swell", Reason.MEMORY, "memory limit reached"),
        ("swell-and-abort", Reason.MEMORY, "memory limit"),
        ("segfault", Reason.CRASHED, "signal 11"),
        ("exit", Reason.CRASHED, "code 7"),
        ("system-exit", Reason.CRASHED, "SystemExit"),
        ("fail", Reason.CORRUPT, "ValueError"),
        ("recurse", Reason.TOO_LARGE, "nested"),
        ("flood", Reason.TOO_LARGE, "bytes came out"),
        ("surrogate", Reason.CORRUPT, "surrogates"),
    ],
)
def test_misbehaviour_is_rejected_and_the_next_document_parses(
    patient: ParsePool, orders: Orders, order: str, reason: Reason, detail: str
):
    refused = orders.run(patient, order)

    assert _reason(refused) is reason
    assert refused.rejection is not None
    assert detail in refused.rejection.detail
    assert _text(orders.run(patient, "say still here")) == "still here"


@pytest.mark.parametrize("order", ["exit", "flood", "surrogate", "fail"])
def test_who_may_read_a_document_is_known_whatever_it_did_to_its_parser(
    patient: ParsePool, orders: Orders, order: str
):
    sidecar = orders.folder / "order.json"
    sidecar.write_text('{"groups": ["board"]}')
    refused = orders.submit(patient, order, (str(sidecar),)).result()
    assert refused.rejection is not None
    assert refused.attributes.groups == ("board",)
    sidecar.unlink()
    unknown = orders.submit(patient, order, (str(sidecar),)).result()
    assert unknown.attributes.groups == ()


@pytest.mark.parametrize("order", ["hang", "spin", "stop"])
def test_hang_is_killed_at_the_limit_and_capacity_stays(orders: Orders, order: str):
    with ParsePool(1, _HASTY, WorkerOptions(chunker=_CHUNKER)) as pool:
        hung = orders.run(pool, order)
        assert _reason(hung) is Reason.TIMEOUT
        assert hung.seconds >= _HASTY.wall_s
        with ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER)) as other:
            assert _text(orders.run(other, "say still here")) == "still here"


def test_what_a_library_prints_never_reaches_the_frames(patient: ParsePool, orders: Orders):
    assert _text(orders.run(patient, "print quiet words")) == "quiet words"


def test_detail_holds_no_text_of_the_document(patient: ParsePool, orders: Orders):
    refused = orders.run(patient, "fail canary-7731")

    assert refused.rejection is not None
    assert "canary" not in refused.rejection.detail


def test_processes_that_a_document_started_die_with_it(orders: Orders, tmp_path: Path):
    note = tmp_path / "note"
    limits = Limits(wall_s=4, memory_bytes=1024 * _MEBIBYTE)
    with ParsePool(1, limits, WorkerOptions(chunker=_CHUNKER)) as pool:
        assert _reason(orders.run(pool, f"breed {note}")) is Reason.TIMEOUT
        keeper, *bred = _noted(note)
        _wait_for_end([keeper, *bred])

    assert bred  # how many were born before the limit is the machine's affair


def test_processes_left_by_a_document_that_parsed_are_gone_after_close(
    orders: Orders, tmp_path: Path
):
    note = tmp_path / "note"
    with ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER)) as pool:
        assert _text(orders.run(pool, f"breed-and-finish {note}")) == "left a child behind"
        assert _text(orders.run(pool, "say next")) == "next"

    _wait_for_end(_noted(note))


def test_fork_of_the_parser_cannot_answer_for_it(patient: ParsePool, orders: Orders):
    assert _text(orders.run(patient, "return-twice once")) == "once"
    assert _text(orders.run(patient, "say another")) == "another"


def test_forty_healthy_documents_beside_three_that_hang_all_parse(orders: Orders):
    limits = Limits(wall_s=3, memory_bytes=1024 * _MEBIBYTE)
    with ParsePool(2, limits, WorkerOptions(chunker=_CHUNKER)) as pool:
        futures = [
            orders.submit(pool, "hang" if number % 14 == 5 else f"say number {number}")
            for number in range(43)
        ]
        outcomes = [future.result() for future in futures]

    hung = [number for number, outcome in enumerate(outcomes) if outcome.rejection is not None]
    assert hung == [5, 19, 33]


def test_child_is_replaced_after_its_share_of_documents(orders: Orders):
    limits = Limits(documents_per_child=2)
    with ParsePool(1, limits, WorkerOptions(chunker=_CHUNKER)) as pool:
        keepers = [_text(orders.run(pool, "who")) for _ in range(4)]

    assert keepers[0] == keepers[1] != keepers[2] == keepers[3]


def test_child_that_died_between_documents_costs_no_document(patient: ParsePool, orders: Orders):
    keeper = int(_text(orders.run(patient, "who")))
    os.kill(keeper, signal.SIGTERM)
    _wait_for_end([keeper])

    assert _text(orders.run(patient, "say still here")) == "still here"


def test_child_knows_no_secret_of_the_environment(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "canary")
    with ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER)) as pool:
        assert "MISTRAL_API_KEY" not in _text(orders.run(pool, "environment"))


def test_options_reach_the_chunker(orders: Orders):
    work = WorkerOptions(chunker=_CHUNKER, options={"prefix": "» "})
    with ParsePool(1, _PATIENT, work) as pool:
        assert _text(orders.run(pool, "say word")) == "» word"


@pytest.mark.parametrize(
    ("chunker", "message"),
    [
        ("hostile_parsers:absent", "cannot be imported"),
        ("hostile_parsers:broken_factory", "no thing here"),
    ],
)
def test_pool_that_cannot_start_says_so(orders: Orders, chunker: str, message: str):
    work = WorkerOptions(chunker=chunker, options={"what": "thing"})
    with ParsePool(1, _PATIENT, work) as pool, pytest.raises(UsageError, match=message):
        orders.run(pool, "say word")


def test_unknown_parser_is_a_mistake(patient: ParsePool, tmp_path: Path):
    with pytest.raises(UsageError, match="parser tarot: unknown"):
        patient.submit(tmp_path / "any", "tarot")


def test_vanished_file_is_rejected_as_changed(patient: ParsePool, tmp_path: Path):
    assert _reason(patient.submit(tmp_path / "gone", _OBEY).result()) is Reason.CHANGED


def test_named_pipe_is_refused_without_waiting(patient: ParsePool, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.txt")

    assert _reason(patient.submit(tmp_path / "pipe.txt", "text").result()) is Reason.UNREADABLE


def test_file_over_the_limit_is_not_read(tmp_path: Path):
    giant = tmp_path / "giant.txt"
    with giant.open("wb") as stream:
        stream.truncate(1 << 40)
    with ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER)) as pool:
        assert _reason(pool.submit(giant, "text").result()) is Reason.TOO_LARGE


def test_file_that_changes_while_it_is_parsed_is_noticed(patient: ParsePool, orders: Orders):
    assert _reason(orders.run(patient, "rewrite-me")) is Reason.CHANGED


def test_name_that_is_no_utf8_arrives(patient: ParsePool, tmp_path: Path):
    path = tmp_path / os.fsdecode(b"latin-\xe9.txt")
    path.write_text("say arrived")

    assert _text(patient.submit(path, _OBEY).result()) == "arrived"


def test_what_a_document_leaves_in_the_scratch_folder_is_gone_for_the_next(
    patient: ParsePool, orders: Orders
):
    found = [_text(orders.run(patient, "litter")) for _ in range(2)]

    assert found == ["stderr", "stderr"]


def test_close_kills_what_runs_and_fails_what_waits(orders: Orders, scratch: Path):
    pool = ParsePool(1, _PATIENT, WorkerOptions(chunker=_CHUNKER))
    running = orders.submit(pool, "hang")
    waiting = orders.submit(pool, "say never")
    closer = threading.Thread(target=pool.close)
    closer.start()
    closer.join()
    pool.close()

    assert waiting.cancelled()
    if not running.cancelled():  # cancelled when the child was not ready yet
        with pytest.raises(StoppedError, match="closed"):
            running.result()
    with pytest.raises(StoppedError, match="closed"):
        orders.submit(pool, "say late")
    assert list(scratch.iterdir()) == []


def test_killed_parent_leaves_neither_processes_nor_files(tmp_path: Path, scratch: Path):
    note = tmp_path / "note"
    (tmp_path / "order").write_text(f"breed {note}")
    os.mkfifo(note)
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path / "order")])
    # Open for writing too, so that no end is seen between two writers.
    with os.fdopen(os.open(note, os.O_RDWR)) as stream:
        processes = [int(stream.readline()) for _ in range(_BRED)]
    owner.kill()
    owner.wait()
    _wait_for_end(processes)

    assert list(scratch.iterdir()) == []


def _wait_for_end(processes: Iterable[int]) -> None:
    """Block until all processes are gone; ends only if they do."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            poller = select.poll()
            poller.register(os.pidfd_open(process), select.POLLIN)
            poller.poll()


def _noted(note: Path) -> list[int]:
    return [int(line) for line in note.read_text().splitlines()]


_OWNER = """
import sys
from pathlib import Path
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits

pool = ParsePool(1, Limits(), WorkerOptions(chunker="hostile_parsers:one_chunk_each"))
pool.submit(Path(sys.argv[1]), "hostile_parsers:obey").result()
"""
