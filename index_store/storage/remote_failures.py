"""What the failure of a request to S3 means for the one who asked.

Pure: it looks at the names of exceptions and at the codes of answers, so that it needs no library
of AWS. The question that decides is whether the request may have been carried out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What became of a request that failed."""

    MISSING = "missing"  # there is no object of this name
    EXISTS = "exists"  # there is one, and the request was conditional on there being none
    BEYOND = "beyond"  # the range begins at the end of the object or after it
    MISTAKE = "mistake"  # a person has to change something
    UNABLE = "unable"  # the server does not know this kind of request
    REFUSED_NOW = "refused-now"  # it was not carried out, and may be another time
    LOST = "lost"  # it may have been carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed request, understood.

    Attributes:
        outcome: What became of it.
        detail: The reason in words, for a message.
        code: Code of the server's answer, or the kind of exception.
    """

    outcome: Outcome
    detail: str
    code: str


_CODES = {
    Outcome.MISSING: {"NoSuchKey", "NotFound", "404"},
    Outcome.EXISTS: {"PreconditionFailed", "412"},
    Outcome.BEYOND: {"InvalidRange", "RequestedRangeNotSatisfiable", "416"},
    Outcome.UNABLE: {"NotImplemented", "MethodNotAllowed", "501", "405"},
    Outcome.REFUSED_NOW: {
        "SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling",
        "ThrottlingException", "TooManyRequests", "TooManyRequestsException", "429",
        "ConditionalRequestConflict", "OperationAborted", "409",
        "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody",
        "RequestTimeout",
    },
}  # fmt: skip
_OUTCOMES = {code: outcome for outcome, codes in _CODES.items() for code in codes}
_REMEDIES = {
    "NoSuchBucket": "make the bucket first, or correct its name",
    "InvalidBucketName": "correct the name of the bucket",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID or the AWS profile",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "ExpiredToken": "renew the credentials",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "PermanentRedirect": "set AWS_REGION to the region of the bucket",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the region of the bucket",
    "IllegalLocationConstraintException": "set AWS_REGION to the region of the bucket",
}
_PERMISSIONS = (
    "the account needs s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and "
    "s3:ListBucket"
)
_NOT_SENT = {"ConnectTimeoutError", "ProxyConnectionError", "ClientConnectorError", "gaierror"}
_NO_CREDENTIALS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "TokenRetrievalError", "SSOError",
}  # fmt: skip
_NOT_POSSIBLE = {
    "ParamValidationError", "InvalidRegionError", "NoRegionError", "UnknownEndpointError",
    "InvalidEndpointConfigurationError", "InvalidConfigError", "InvalidURL",
}  # fmt: skip
_LOST = {
    "HTTPClientError", "ClientError", "ClientPayloadError", "BotoCoreError", "FSTimeoutError",
    "ResponseParserError", "IncompleteReadError", "OSError", "TimeoutError",
}  # fmt: skip


def understood(error: Exception) -> Failure | None:
    """Return what an exception of the AWS libraries means, or None when it is none of theirs."""
    answer = _answer(error) or _answer(error.__cause__)  # s3fs wraps what the server said
    if answer is not None:
        return _from_answer(*answer)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    name = type(error).__name__
    detail = " ".join(str(error).split()) or name
    if kinds & _NO_CREDENTIALS:
        return Failure(
            outcome=Outcome.MISTAKE,
            detail=f"{detail}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            code=name,
        )
    if kinds & _NOT_POSSIBLE:
        return Failure(outcome=Outcome.MISTAKE, detail=detail, code=name)
    if (kinds | _inner_kinds(error)) & _NOT_SENT:
        return Failure(outcome=Outcome.REFUSED_NOW, detail=detail, code=name)
    if kinds & _LOST:
        return Failure(outcome=Outcome.LOST, detail=detail, code=name)
    return None


def _inner_kinds(error: Exception) -> set[str]:
    """Return the kinds of what an exception of the AWS library wraps.

    Its "could not connect" stands for a connection that was reset after the request, too.
    """
    details = getattr(error, "kwargs", None)
    inner = details.get("error") if isinstance(details, Mapping) else None
    return {kind.__name__ for kind in type(inner).__mro__}


def _answer(error: BaseException | None) -> tuple[str, str, int] | None:
    """Return code, message and HTTP status of the answer that an exception carries."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return None
    told = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(told.get("Code", status)), str(told.get("Message", "")), int(status)


def _from_answer(code: str, message: str, status: int) -> Failure:
    detail = f"{status} {code}: {message}" if message and message != code else f"{status} {code}"
    outcome = _OUTCOMES.get(code)
    if outcome is None and status >= 500:
        outcome = Outcome.UNABLE if status == 501 else Outcome.LOST
    if outcome is None and status < 300:
        outcome = Outcome.LOST  # an answer that says two things
    if outcome is not None:
        return Failure(outcome=outcome, detail=detail, code=code)
    remedy = _REMEDIES.get(code, _PERMISSIONS if status in {401, 403} else "")
    told = f"{detail}; {remedy}" if remedy else detail
    return Failure(outcome=Outcome.MISTAKE, detail=told, code=code)
