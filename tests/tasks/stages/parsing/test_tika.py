"""The last resort, a Tika server over real HTTP: asked when needed, believed when better."""

import socket
from pathlib import Path

import pytest

from index_store.errors import UsageError
from index_store.records import Quality, Reason
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Outcome
from tasks.stages.parsing.tika import TikaError, TikaOptions, extract
from tasks.stages.parsing.tika_page import parse_tika_page
from tests.support.tika_server import Answer, TikaServer

CHUNKER = "hostile_parsers:one_chunk_each"
LIMITS = Limits(memory_bytes=1 << 30)
PAGES = (
    b"<html><head><title>Found</title></head><body>"
    b'<div class="page"><p>The first page has words.</p></div>'
    b'<div class="page"><p>So does the second one.</p></div></body></html>'
)
BROKEN = b"%PDF-1.4\nthis is where the download broke off"


@pytest.fixture(autouse=True)
def _the_chunker_can_be_imported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def parse(path: Path, answer: Answer) -> tuple[Outcome, list[tuple[str, str]]]:
    with TikaServer(answer) as server:
        work = WorkerOptions(chunker=CHUNKER, tika=TikaOptions(url=server.url, timeout_s=60))
        with ParsePool(1, LIMITS, work) as pool:
            return pool.submit(
                path, "pdf" if path.suffix == ".pdf" else "text"
            ).result(), server.asked


def test_what_no_parser_reads_is_read_by_the_server(tmp_path: Path):
    path = tmp_path / "a.pdf"
    path.write_bytes(BROKEN)
    sent: list[bytes] = []

    def answer(body: bytes) -> tuple[int, bytes]:
        sent.append(body)
        return 200, PAGES

    outcome, asked = parse(path, answer)
    assert asked == [("/tika", "text/html")]
    assert sent == [BROKEN]
    assert outcome.chunks is not None
    assert [chunk.text for chunk in outcome.chunks] == [
        "The first page has words.",
        "So does the second one.",
    ]
    assert (outcome.attributes.title, outcome.attributes.media_type) == ("Found", "pdf")
    assert outcome.quality is Quality.GOOD
    assert outcome.warnings[0] == "read by tika"
    assert len(outcome.content_hash) == 64


def test_a_healthy_document_is_never_sent(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("Three plain words and more.")
    outcome, asked = parse(path, lambda _: (200, PAGES))
    assert outcome.chunks is not None
    assert asked == []


@pytest.mark.parametrize(
    ("status", "page", "note"),
    [(500, b"", "tika: status 500"), (200, b"<p>...", "tika: found nothing better")],
)
def test_an_answer_that_helps_nobody_leaves_the_rejection(
    tmp_path: Path, status: int, page: bytes, note: str
):
    path = tmp_path / "a.pdf"
    path.write_bytes(BROKEN)
    outcome, _ = parse(path, lambda _: (status, page))
    assert outcome.rejection is not None
    assert outcome.rejection.reason is Reason.CORRUPT
    assert outcome.warnings[-1] == note


def test_a_server_that_is_away_is_told(tmp_path: Path):
    path = tmp_path / "a.pdf"
    path.write_bytes(BROKEN)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(TikaError, match="no answer: .*refused"):
            extract(path, TikaOptions(url=url, timeout_s=5))


def test_pages_and_slides_of_the_answer_keep_their_numbers(tmp_path: Path):
    path = tmp_path / "a.pdf"
    path.write_bytes(PAGES)
    assert [element.page for element in parse_tika_page(path).elements] == [1, 2]
    path.write_bytes(PAGES.replace(b'"page"', b'"slide-content"'))
    assert [element.slide for element in parse_tika_page(path).elements] == [1, 2]
    path.write_bytes(b"<h1>One</h1><p>no page at all")
    assert [element.page for element in parse_tika_page(path).elements] == [None, None]


@pytest.mark.parametrize("url", ["tika:9998", "file:///etc/passwd", "http://"])
def test_an_address_that_is_none_is_a_users_mistake(url: str):
    with pytest.raises(UsageError, match="expected an address such as"):
        TikaOptions(url=url)
