"""What a failed request means: found, refused, to be tried again, or lost."""

import socket

import pytest
from aiohttp import ClientOSError, ClientPayloadError
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from index_store.errors import (
    ConflictError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.storage.remote_attempts import Attempts, Kind
from index_store.storage.remote_failures import Outcome, understood
from index_store.storage.remote_options import RemoteOptions, options_from

URL = "s3://bucket/store"


def answer(code: str, status: int) -> ClientError:
    told = {
        "Error": {"Code": code, "Message": "told"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(told, "PutObject")  # type: ignore[arg-type]


def wrapped(error: ClientError) -> OSError:
    """As s3fs raises it."""
    outer = OSError(22, "told")
    outer.__cause__ = error
    return outer


LOST = [
    answer("InternalError", 500),
    answer("502", 502),
    answer("504", 504),
    answer("InternalError", 200),
    ReadTimeoutError(endpoint_url="http://x"),
    ConnectionClosedError(endpoint_url="http://x"),
    ClientPayloadError("payload"),
    ConnectionResetError("reset"),
    EndpointConnectionError(endpoint_url="http://x", error=ClientOSError(104, "reset by peer")),
]
REFUSED_NOW = [
    answer("SlowDown", 503),
    answer("429", 429),
    answer("ConditionalRequestConflict", 409),
    answer("BadDigest", 400),
    EndpointConnectionError(endpoint_url="http://x", error=socket.gaierror("no such host")),
    ConnectTimeoutError(endpoint_url="http://x"),
]
MISTAKES = [
    (answer("NoSuchBucket", 404), "make the bucket first"),
    (answer("AccessDenied", 403), "the account needs s3:GetObject"),
    (answer("403", 403), "the account needs s3:GetObject"),
    (answer("401", 401), "the account needs s3:GetObject"),
    (answer("InvalidAccessKeyId", 403), "check AWS_ACCESS_KEY_ID"),
    (answer("ExpiredToken", 400), "renew the credentials"),
    (answer("RequestTimeTooSkewed", 403), "set the clock of this machine"),
    (answer("PermanentRedirect", 301), "set AWS_REGION to the region of the bucket"),
    (answer("EntityTooLarge", 400), "400 EntityTooLarge: told"),
    (NoCredentialsError(), "or AWS_PROFILE"),
    (ParamValidationError(report="bad"), "bad"),
]


def failing(errors: list[Exception], kind: Kind = Kind.WRITE, attempts: int = 3) -> list[float]:
    """Make a request that fails in turn and then succeeds; return how long was waited."""
    waited: list[float] = []
    left = list(errors)

    def request() -> str:
        if left:
            raise left.pop(0)
        return "done"

    tried = Attempts(URL, RemoteOptions(attempts=attempts, backoff_s=1.0), waited.append)
    assert tried.run(kind, "put", "a/b", request) == "done"
    return waited


@pytest.mark.parametrize("error", [*LOST, *REFUSED_NOW], ids=repr)
def test_what_may_pass_is_tried_again_with_longer_waits(error: Exception):
    first, second = failing([error, error])
    assert 0.5 <= first < 1.5
    assert 1.0 <= second < 3.0


@pytest.mark.parametrize("error", LOST, ids=repr)
def test_a_lost_reply_to_a_creation_is_not_repeated(error: Exception):
    with pytest.raises(UnknownOutcomeError, match="put a/b in s3://bucket/store: the reply was"):
        failing([error], Kind.CREATE)


@pytest.mark.parametrize("error", REFUSED_NOW, ids=repr)
def test_a_creation_that_was_not_carried_out_is_repeated(error: Exception):
    assert len(failing([error, error], Kind.CREATE)) == 2
    with pytest.raises(TransientError, match="failed 3 times, at last"):
        failing([error] * 3, Kind.CREATE)


def test_one_lost_reply_among_refusals_leaves_a_write_unknown():
    with pytest.raises(UnknownOutcomeError, match="the reply was lost: 500 InternalError"):
        failing([REFUSED_NOW[0], LOST[0], REFUSED_NOW[0]])
    with pytest.raises(TransientError, match="failed 3 times"):
        failing([REFUSED_NOW[0], LOST[0], REFUSED_NOW[0]], Kind.LOOK)


@pytest.mark.parametrize(("error", "told"), MISTAKES, ids=lambda value: repr(value)[:60])
def test_what_a_person_must_change_is_said_at_once(error: Exception, told: str):
    with pytest.raises(UsageError, match=told):
        failing([error])


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchKey", 404, NotFoundError),
        ("404", 404, NotFoundError),
        ("PreconditionFailed", 412, ConflictError),
        ("412", 412, ConflictError),
        ("NotImplemented", 501, UnfitStoreError),
        ("Anything", 501, UnfitStoreError),
        ("InvalidRange", 416, UsageError),
    ],
)
def test_answers_of_the_server_become_errors_of_ours(
    code: str, status: int, expected: type[Exception]
):
    with pytest.raises(expected, match="a/b"):
        failing([wrapped(answer(code, status))])


def test_a_mistake_in_our_own_code_is_passed_on():
    assert understood(TypeError("a bug")) is None
    with pytest.raises(TypeError, match="a bug"):
        failing([TypeError("a bug")])
    with pytest.raises(ConflictError, match="ours"):
        failing([ConflictError("ours")])


def test_the_answer_inside_what_s3fs_raises_decides():
    failure = understood(wrapped(answer("SlowDown", 503)))
    assert failure is not None
    assert (failure.outcome, failure.code) == (Outcome.REFUSED_NOW, "SlowDown")


def test_options_come_from_the_usual_variables():
    found = options_from(
        {
            "AWS_ENDPOINT_URL": "http://all",
            "AWS_ENDPOINT_URL_S3": "http://s3",
            "AWS_DEFAULT_REGION": "eu-west-3",
        }
    )
    assert (found.endpoint_url, found.region) == ("http://s3", "eu-west-3")
    assert options_from({"AWS_ENDPOINT_URL": "http://all"}).endpoint_url == "http://all"
    assert options_from({}) == RemoteOptions()


def test_secrets_are_not_shown():
    assert "hidden" not in repr(RemoteOptions(access_key="key", secret_key="hidden"))  # noqa: S106


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"read_timeout_s": 0.0}, {"backoff_s": -1.0}])
def test_options_that_could_never_work_are_refused(wrong: dict[str, float]):
    with pytest.raises(UsageError, match="too small"):
        RemoteOptions(**wrong)  # type: ignore[arg-type]
