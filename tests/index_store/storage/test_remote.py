"""What the S3 store does beyond the contract: large objects, ranges, lost replies, refusals."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.storage.opening import open_storage
from index_store.storage.remote import MAX_CREATE_BYTES, RANGE_BYTES, RemoteStorage
from index_store.storage.remote_options import RemoteOptions
from tests.support.fault_proxy import Fault, FaultProxy, Mutate, Rule, Status, fault_proxy
from tests.support.s3_servers import BUCKET, S3Server

PART_BYTES = 5 << 20  # the smallest that S3 allows
LARGE = bytes(range(251)) * ((2 * PART_BYTES + 1000) // 251)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiled:
    """A store behind a proxy, and the same store directly."""

    storage: RemoteStorage
    direct: RemoteStorage
    proxy: FaultProxy

    def begin(self, rules: dict[int, Rule]) -> None:
        self.proxy.begin(rules)


@pytest.fixture(scope="module")
def proxy(moto_server: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(moto_server.endpoint) as running:
        yield running


@pytest.fixture
def spoiled(moto_server: S3Server, proxy: FaultProxy) -> Spoiled:
    proxy.begin({})
    url = moto_server.url(uuid4().hex)
    through = moto_server.options(
        endpoint_url=proxy.endpoint, backoff_s=0.0, attempts=3, part_bytes=PART_BYTES
    )
    return Spoiled(
        storage=RemoteStorage(url, through),
        direct=RemoteStorage(url, moto_server.options()),
        proxy=proxy,
    )


def every(rule: Rule) -> dict[int, Rule]:
    return dict.fromkeys(range(1, 100), rule)


@pytest.mark.parametrize("as_file", [False, True])
def test_a_large_object_is_written_in_parts(spoiled: Spoiled, tmp_path: Path, as_file: bool):
    spoiled.begin({})
    file = tmp_path / "large"
    file.write_bytes(LARGE)
    spoiled.storage.put("large", file if as_file else LARGE)
    asked = [request.method for request in spoiled.proxy.requests]
    assert asked == ["POST", "PUT", "PUT", "PUT", "POST", "HEAD"]
    assert spoiled.direct.read("large") == LARGE
    assert list(spoiled.direct.unfinished_uploads()) == []


@pytest.mark.parametrize(
    "rule",
    [Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.DROP_REPLY, Status(status=500, code="Internal")],
    ids=str,
)
@pytest.mark.parametrize("number", [1, 2, 5, 6])
def test_one_fault_while_parts_are_written_does_no_harm(spoiled: Spoiled, number: int, rule: Rule):
    spoiled.begin({number: rule})
    spoiled.storage.put("large", LARGE)
    assert spoiled.direct.read("large") == LARGE


def test_an_upload_that_fails_is_given_up(spoiled: Spoiled):
    spoiled.begin({number: Status(status=503, code="SlowDown") for number in range(2, 11)})
    with pytest.raises(TransientError, match="put part"):
        spoiled.storage.put("large", LARGE)
    assert list(spoiled.direct.unfinished_uploads()) == []
    with pytest.raises(NotFoundError, match="large"):
        spoiled.direct.read("large")


def test_an_upload_of_which_nothing_is_heard_is_unknown_and_left_alone(spoiled: Spoiled):
    spoiled.begin({number: Status(status=500, code="Internal") for number in range(5, 100)})
    with pytest.raises(UnknownOutcomeError, match="finish large"):
        spoiled.storage.put("large", LARGE)
    (upload,) = spoiled.direct.unfinished_uploads()
    assert upload.key == "large"
    assert upload.begun_ms > 1_000_000_000_000
    spoiled.direct.abort_upload(upload)
    spoiled.direct.abort_upload(upload)
    assert list(spoiled.direct.unfinished_uploads()) == []


def test_an_upload_that_cannot_be_given_up_is_told_and_still_there(spoiled: Spoiled):
    upload = spoiled.direct.begin_upload("large", LARGE[:PART_BYTES])
    spoiled.begin(every(Status(status=503, code="SlowDown")))
    with pytest.raises(TransientError, match="give up large"):
        spoiled.storage.abort_upload(upload)
    assert list(spoiled.direct.unfinished_uploads()) != []
    spoiled.direct.abort_upload(upload)
    assert list(spoiled.direct.unfinished_uploads()) == []


def test_an_upload_that_is_gone_is_settled_by_looking(spoiled: Spoiled):
    spoiled.direct.put("large", LARGE)
    spoiled.begin({5: Status(status=404, code="NoSuchUpload")})
    spoiled.storage.put("large", LARGE)
    spoiled.begin({number: Status(status=404, code="NoSuchUpload") for number in (5, 7, 9)})
    with pytest.raises(UnknownOutcomeError, match="the upload is gone, and found nothing"):
        spoiled.storage.put("another", LARGE)


def test_an_object_that_is_gone_after_its_upload_is_not_taken_for_written(spoiled: Spoiled):
    spoiled.begin({6: Status(status=404, code="404")})
    with pytest.raises(CorruptArtifactError, match="large: expected .* found nothing"):
        spoiled.storage.put("large", LARGE)


def test_all_pages_of_unfinished_uploads_are_listed(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    asked: list[Mapping[str, object]] = []

    def page(_: object, method: str, place: Mapping[str, object]) -> Mapping[str, object]:
        assert method == "list_multipart_uploads"
        asked.append(place)
        name = f"pages/{len(asked)}"
        return {
            "Uploads": [{"Key": name, "UploadId": "id", "Initiated": moment}],
            "IsTruncated": len(asked) < 3,
            "NextKeyMarker": name,
            "NextUploadIdMarker": "id",
        }

    monkeypatch.setattr("index_store.storage.remote.S3Client.call", page)
    storage = RemoteStorage(moto_server.url("pages"), moto_server.options())
    assert [upload.key for upload in storage.unfinished_uploads()] == ["1", "2", "3"]
    assert [place.get("KeyMarker") for place in asked] == [None, "pages/1", "pages/2"]


def test_a_file_that_shrinks_while_it_is_written_is_not_taken_for_written(
    spoiled: Spoiled, tmp_path: Path
):
    file = tmp_path / "large"
    file.write_bytes(LARGE)

    def shrink(answer: bytes) -> bytes:
        file.write_bytes(LARGE[: 2 * PART_BYTES + 10])
        return answer

    spoiled.begin({1: Mutate(change=shrink)})
    with pytest.raises(CorruptArtifactError, match=r"large: expected \d+ bytes, found 10485770"):
        spoiled.storage.put("large", file)


def test_a_long_range_is_read_in_pieces_of_one_object(spoiled: Spoiled):
    spoiled.direct.put("large", LARGE)
    spoiled.begin({})
    assert spoiled.storage.read("large", start=3, end=len(LARGE) + 9) == LARGE[3:]
    assert len(spoiled.proxy.requests) == -(-(len(LARGE) - 3) // RANGE_BYTES) == 2


def test_an_object_that_is_replaced_between_two_pieces_is_not_mixed(spoiled: Spoiled):
    spoiled.direct.put("large", LARGE)

    def replace(answer: bytes) -> bytes:
        spoiled.direct.put("large", LARGE[::-1])
        return answer

    spoiled.begin({1: Mutate(change=replace)})
    with pytest.raises(TransientError, match="read large .* was replaced meanwhile"):
        spoiled.storage.read("large", start=0, end=len(LARGE))


@pytest.mark.parametrize("rule", [Fault.FLIP, Fault.TRUNCATE, Fault.RESET_AFTER], ids=str)
@pytest.mark.parametrize("end", [None, 100_000])
def test_a_body_that_is_spoiled_once_is_read_again(spoiled: Spoiled, rule: Rule, end: int | None):
    spoiled.direct.put("object", LARGE[:100_000])
    spoiled.begin({1: rule})
    assert spoiled.storage.read("object", end=end) == LARGE[:100_000]
    assert len(spoiled.proxy.requests) > 1


def test_another_range_than_the_one_asked_for_is_refused(spoiled: Spoiled):
    spoiled.direct.put("object", b"0123456789")
    spoiled.begin(every(Mutate(change=lambda body: body[:-1])))
    with pytest.raises(TransientError, match="expected bytes 2 to 6, found 3 from 2 to 6"):
        spoiled.storage.read("object", start=2, end=6)


def test_an_answer_that_is_no_range_is_refused(spoiled: Spoiled):
    spoiled.begin(every(Status(status=200, code="Whole")))
    with pytest.raises(TransientError, match="a range was asked for and something else came"):
        spoiled.storage.read("object", start=2, end=6)


def test_without_the_library_the_remedy_is_named(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    storage = RemoteStorage(moto_server.url("x"), moto_server.options())
    with pytest.raises(UsageError, match=r"install nightpress\[s3\]"):
        storage.read("a")


def test_the_endpoint_tells_stores_of_one_name_apart(moto_server: S3Server):
    storage = RemoteStorage(moto_server.url("x"), moto_server.options())
    assert storage.endpoint == moto_server.endpoint
    assert RemoteStorage("s3://bucket", RemoteOptions()).endpoint == ""


def test_etags_that_are_no_md5_are_found_out_once(
    spoiled: Spoiled, monkeypatch: pytest.MonkeyPatch
):
    spoiled.direct.put("object", b"body")
    monkeypatch.setattr("index_store.storage.remote._md5_hex", lambda _: "0" * 32)
    spoiled.begin({})
    assert [spoiled.storage.read("object") for _ in range(3)] == [b"body"] * 3
    assert len(spoiled.proxy.requests) == 4


@pytest.mark.parametrize("rule", [Fault.RESET_AFTER, Fault.DROP_REPLY], ids=str)
def test_a_creation_whose_reply_is_lost_is_never_reported_as_not_done(spoiled: Spoiled, rule: Rule):
    spoiled.begin(every(rule))
    # A connection that was used before is tried twice by the library below, which then hears of the
    # object that its first attempt made.
    with pytest.raises((UnknownOutcomeError, ConflictError), match="log/1"):
        spoiled.storage.create("log/1", b"mine")
    assert spoiled.direct.read("log/1") == b"mine"


def test_a_creation_that_meets_another_one_is_tried_again(spoiled: Spoiled):
    spoiled.begin({1: Status(status=409, code="ConditionalRequestConflict")})
    spoiled.storage.create("log/1", b"mine")
    assert spoiled.direct.read("log/1") == b"mine"


def test_a_server_that_is_silent_is_given_up(moto_server: S3Server, proxy: FaultProxy):
    options = moto_server.options(
        endpoint_url=proxy.endpoint, backoff_s=0.0, attempts=2, read_timeout_s=0.2
    )
    storage = RemoteStorage(moto_server.url("silent"), options)
    proxy.begin(every(Fault.HANG_BEFORE))
    with pytest.raises(TransientError, match="read a in .* failed 2 times"):
        storage.read("a")
    with pytest.raises(UnknownOutcomeError, match="create a"):
        storage.create("a", b"x")


def test_an_answer_that_takes_too_long_in_all_is_given_up(moto_server: S3Server, proxy: FaultProxy):
    options = moto_server.options(
        endpoint_url=proxy.endpoint, backoff_s=0.0, attempts=1, deadline_s=0.3
    )
    storage = RemoteStorage(moto_server.url("slow"), options)
    proxy.begin(every(Fault.HANG_BEFORE))
    with pytest.raises(TransientError, match="FSTimeoutError"):
        storage.read("a")


def test_nobody_listening_is_not_a_lost_reply(moto_server: S3Server):
    options = moto_server.options(endpoint_url="http://127.0.0.1:9", backoff_s=0.0, attempts=2)
    storage = RemoteStorage(moto_server.url("nobody"), options)
    for operation in (storage.create, storage.put):
        with pytest.raises(TransientError, match="failed 2 times"):
            operation("a", b"x")


def test_only_small_objects_are_created(spoiled: Spoiled):
    spoiled.storage.create("small", b"x" * MAX_CREATE_BYTES)
    with pytest.raises(UsageError, match="at most 1048576 bytes"):
        spoiled.storage.create("large", b"x" * (MAX_CREATE_BYTES + 1))


def test_a_bucket_that_is_not_there_is_named(moto_server: S3Server):
    storage = RemoteStorage("s3://no-such-bucket/x", moto_server.options())
    with pytest.raises(UsageError, match="make the bucket first"):
        list(storage.list(""))
    with pytest.raises(UsageError, match="make the bucket first"):
        storage.put("a", b"x")


def test_prefixes_keep_stores_apart(moto_server: S3Server):
    one = RemoteStorage(moto_server.url("apart/one/"), moto_server.options())
    other = RemoteStorage(moto_server.url("apart/one-more"), moto_server.options())
    one.put("a", b"1")
    other.put("a", b"2")
    assert (one.url, other.url) == (f"s3://{BUCKET}/apart/one", f"s3://{BUCKET}/apart/one-more")
    assert [entry.key for entry in one.list("")] == ["a"]
    whole = RemoteStorage(f"s3://{BUCKET}", moto_server.options())
    assert whole.url == f"s3://{BUCKET}"
    assert whole.read("apart/one/a") == b"1"
    with pytest.raises(UsageError, match="too long below"):
        one.put("k" * 1020, b"x")


@pytest.mark.parametrize("url", ["s3://", "s3://Bucket", "s3://b", "s3://bucket/a//b", "s3:/x"])
def test_addresses_that_name_no_store_are_refused(url: str, moto_server: S3Server):
    with pytest.raises(UsageError, match=r"write s3://bucket|not a relative posix path"):
        RemoteStorage(url, moto_server.options())


def test_a_store_is_opened_by_its_address(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch):
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    storage = open_storage(moto_server.url("opened"))
    storage.put("a", b"x")
    assert storage.read("a") == b"x"


def test_a_store_that_another_process_opened_is_refused(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
):
    storage = RemoteStorage(moto_server.url("another"), moto_server.options())
    opener = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: opener + 1)
    with pytest.raises(UsageError, match="cannot be used after a fork"):
        storage.read("a")


def test_a_fork_does_not_use_the_connection_of_its_parent(moto_server: S3Server):
    script = f"""
import os, sys
from index_store.errors import UsageError
from index_store.storage.opening import open_storage
storage = open_storage({moto_server.url("forked")!r})
storage.put("a", b"x")
child = os.fork()
if child == 0:
    try:
        storage.read("a")
    except UsageError as error:
        print(error, flush=True)
        os._exit(0)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, **moto_server.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be used after a fork" in done.stdout
