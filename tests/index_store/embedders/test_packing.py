from hypothesis import given, settings
from hypothesis import strategies as st

from index_store.embedder import RequestLimits
from index_store.embedders.packing import least_requests, pack

SIZES = st.lists(st.integers(1, 600), max_size=300)


@given(SIZES, st.integers(1, 128), st.integers(1, 16_000))
def test_every_text_is_in_one_request_and_no_request_above_its_limits(
    tokens: list[int], texts: int, most: int
):
    requests = pack(tokens, RequestLimits(texts=texts, tokens=most))
    assert sorted(place for request in requests for place in request) == list(range(len(tokens)))
    for request in requests:
        assert len(request) <= texts
        assert sum(tokens[place] for place in request) <= most or len(request) == 1
        assert request == sorted(request)


@given(st.lists(st.integers(20, 512), min_size=200, max_size=1000))
@settings(max_examples=30, deadline=None)
def test_chunks_fill_nearly_the_least_possible_number_of_requests(tokens: list[int]):
    limits = RequestLimits(texts=128, tokens=16_000)
    least = least_requests(tokens, limits)
    assert len(pack(tokens, limits)) <= max(least + 1, 1.05 * least)


@given(
    st.lists(st.integers(300, 512), min_size=200, max_size=400),
    st.lists(st.integers(1, 40), min_size=200, max_size=1500),
)
@settings(max_examples=20, deadline=None)
def test_short_texts_go_beside_long_ones(long: list[int], short: list[int]):
    limits = RequestLimits(texts=128, tokens=16_000)
    least = least_requests([*long, *short], limits)
    assert len(pack([*long, *short], limits)) <= max(least + 1, 1.05 * least)


def test_without_a_limit_of_tokens_only_the_count_decides():
    requests = pack([5] * 10, RequestLimits(texts=4))
    assert [len(request) for request in requests] == [4, 4, 2]
    assert least_requests([5] * 10, RequestLimits(texts=4)) == 3
    assert pack([], RequestLimits(texts=4)) == []
