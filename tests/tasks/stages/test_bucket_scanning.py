"""Sources in S3: listed to the end, changes seen, sidecars found, what is wrong told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from index_store.errors import StoppedError, TransientError, UsageError
from index_store.storage.bucket import Bucket
from index_store.storage.remote import S3Client
from index_store.storage.remote_options import RemoteOptions
from tasks.stages import fetching
from tasks.stages.fetching import local_copies
from tasks.stages.listing import Listing, ScanOptions, Source, parse_sources
from tasks.stages.scanning import hash_files, scan
from tests.support.s3_servers import BUCKET, S3Server, moto

OPTIONS = ScanOptions(extensions=frozenset({".txt", ".json"}), exclude=("~$*",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("moto")) as started:
        yield started


@pytest.fixture
def client(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Client:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    fetching.bucket_of.cache_clear()
    return S3Client(BUCKET, server.options())


def listed(prefix: str, options: ScanOptions = OPTIONS) -> Listing:
    return scan([Source(url=f"s3://{BUCKET}/{prefix}")], options)


def test_every_page_is_read_and_names_stay_as_they_are(client: S3Client):
    names = [f"many/{number:04d}.txt" for number in range(1100)]  # a page holds a thousand
    odd = ["many/../x.txt", "many//y.txt", "many/é \u2019 z.TXT", "many/~$lock.txt", "many/a.bin"]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: client.put(name, b"x"), [*names, *odd, "many/folder/"]))
    found = listed("many")
    assert [file.uri for file in found.files] == sorted(
        [name.removeprefix("many/") for name in [*names, *odd[:3]]]
    )
    assert found.ignored == 2
    last = [file for file in found.files if file.uri.endswith("z.TXT")]
    assert hash_files([last[0].path]) != [None]


def test_a_change_of_the_same_size_shows_even_within_one_second(client: S3Client):
    client.put("same/a.txt", b"first")
    before = listed("same").files
    client.put("same/a.txt", b"other")
    after = listed("same").files
    assert before[0].mtime_ns != after[0].mtime_ns
    assert hash_files([before[0].path]) == hash_files([after[0].path])  # of what is there now


def test_a_sidecar_describes_its_document_and_is_none(client: S3Client):
    client.put("side/a.txt", b"text")
    client.put("side/a.json", b'{"title": "A title"}')
    client.put("side/data.json", b'{"measurements": [1, 2]}')
    files = {file.uri: file for file in listed("side").files}
    assert files.keys() == {"a.txt", "data.json"}
    assert files["a.txt"].sidecars == (f"s3://{BUCKET}/side/a.json",)
    assert files["a.txt"].described
    client.put("side/a.json", b'{"title": "Another"}')
    assert listed("side").files[0].described != files["a.txt"].described


@pytest.mark.usefixtures("client")
def test_an_empty_prefix_and_a_missing_bucket_stop_the_run():
    with pytest.raises(StoppedError, match="correct --source"):
        listed("nowhere")
    with pytest.raises(UsageError, match="make the bucket first, or correct its name"):
        scan([Source(url="s3://no-such-bucket-here/docs")], OPTIONS)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ({"IsTruncated": True, "Contents": [], "KeyCount": 0}, "breaks off"),
        ({"Contents": [], "KeyCount": 3}, "holds 0 names, it announces 3"),
    ],
)
def test_a_page_that_proves_nothing_is_refused(page: dict[str, object], told: str):
    bucket = Bucket("documents", RemoteOptions())
    bucket._page = lambda place: page  # type: ignore[method-assign] # noqa: ARG005
    with pytest.raises(TransientError, match=told):
        list(bucket.list(""))


def test_copies_are_whole_keep_their_names_and_go(client: S3Client):
    content = bytes(range(256)) * 40_000  # more than one piece of 8 MiB
    client.put("copy/big.txt", content)
    client.put("copy/empty.txt", b"")
    urls = [f"s3://{BUCKET}/copy/{name}" for name in ("big.txt", "empty.txt", "gone.txt")]
    with local_copies(urls) as (big, empty, gone):
        assert big.name == "big.txt"
        assert big.read_bytes() == content
        assert empty.read_bytes() == b""
        assert not gone.exists()
    assert not big.exists()


def test_sources_are_told_apart():
    assert parse_sources(["s3://b/docs/"]) == (Source(url="s3://b/docs"),)
    named = parse_sources(["law=s3://b/docs", "/data/hr"])
    assert named == (
        Source(url="s3://b/docs", label="law"),
        Source(root=Path("/data/hr"), label="hr"),
    )
    with pytest.raises(UsageError, match="s3://BUCKET"):
        parse_sources(["s3:///docs"])
