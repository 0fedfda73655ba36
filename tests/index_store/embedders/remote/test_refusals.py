from datetime import UTC, datetime

import pytest

from index_store.embedders.remote.refusals import RefusalKind, refusal, retry_after_s

NOW = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)
KIND = RefusalKind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, '{"message":"Requests rate limit exceeded"}', KIND.BUSY),
        (429, '{"type":"rate_limited","message":"Rate limit exceeded","code":"1300"}', KIND.BUSY),
        (429, '{"message":"Service tier capacity exceeded","code":"3505"}', KIND.BUSY),
        (429, '{"error":{"message":"quota","code":"insufficient_quota"}}', KIND.QUOTA),
        (402, "{}", KIND.QUOTA),
        (400, '{"message":"Too many tokens in batch. Max is 16384 got 17555"}', KIND.SPLIT),
        (
            400,
            '{"message":"Too many tokens overall, split into more batches.","code":"3210"}',
            KIND.SPLIT,
        ),
        (400, '{"message":"something new","code":"3210"}', KIND.SPLIT),
        (413, "payload too large", KIND.SPLIT),
        (
            400,
            '{"message":"Input id 7 has 84291 tokens, exceeding max 8192 tokens."}',
            KIND.TOO_LONG,
        ),
        (400, '{"error":"the input length exceeds the context length"}', KIND.TOO_LONG),
        (500, '{"error":"the input length exceeds the context length"}', KIND.TOO_LONG),
        (
            400,
            '{"error":{"message":"This model\'s maximum context length is 8192 tokens"}}',
            KIND.TOO_LONG,
        ),
        (500, '{"error":"failed to encode response: json: unsupported value: NaN"}', KIND.INPUT),
        (400, '{"message":"no idea 429"}', KIND.INPUT),
        (422, '{"detail":[{"loc":["input"],"msg":"bad"}]}', KIND.INPUT),
        (401, '{"message":"Unauthorized"}', KIND.KEY),
        (403, "", KIND.KEY),
        (404, '{"error":"model \\"x\\" not found"}', KIND.REQUEST),
        (307, "", KIND.REQUEST),
        (500, "<html>429</html>", KIND.BUSY),
        (503, "", KIND.BUSY),
    ],
)
def test_status_code_and_whole_phrases_decide(status: int, body: str, kind: RefusalKind):
    assert refusal(status, {}, body.encode(), NOW).kind is kind


def test_the_offending_text_is_named_by_its_place():
    told = refusal(400, {}, b'{"message":"Input id 7 has 9000 tokens, exceeding max 8192"}', NOW)
    assert told.position == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Sun, 01 Mar 2026 04:30:20 GMT"}, 20.0),
        ({"retry-after": "Sun, 01 Mar 2026 04:00:00 GMT"}, 0.0),
        ({"retry-after": "864000"}, 600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wish_to_wait_is_read_and_capped(headers: dict[str, str], seconds: float | None):
    assert retry_after_s(headers, NOW) == seconds


def test_a_long_message_is_shortened_to_one_line():
    told = refusal(400, {}, b"x\n" * 5000, NOW)
    assert len(told.message) < 250
    assert "\n" not in told.message


@pytest.mark.parametrize(
    ("message", "too_many", "most_tokens"),
    [
        ("Too many tokens in batch. Max is 16384 got 17555", "tokens", 16_384),
        ("Too many tokens overall, split into more batches.", "tokens", None),
        ("Too many inputs in request, split into more batches.", "texts", None),
        ("batch size", "", None),
    ],
)
def test_what_there_was_too_much_of_is_told(message: str, too_many: str, most_tokens: int | None):
    told = refusal(400, {}, f'{{"message":"{message}"}}'.encode(), NOW)
    assert (told.too_many, told.most_tokens) == (too_many, most_tokens)


def test_only_a_refusal_of_the_rate_is_one():
    assert refusal(429, {}, b"{}", NOW).over_rate
    assert not refusal(503, {}, b"{}", NOW).over_rate
    assert not refusal(429, {}, b'{"code":"insufficient_quota"}', NOW).over_rate
