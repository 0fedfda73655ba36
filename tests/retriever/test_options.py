import pytest

from index_store.errors import UsageError
from retriever.options import RetrieverOptions


def test_every_value_out_of_range_is_named_at_once():
    with pytest.raises(UsageError, match=r"poll_s.*max_k.*port must be.*70000"):
        RetrieverOptions(store="s", poll_s=0, max_k=0, port=70_000)


def test_the_usual_number_of_hits_must_be_allowed():
    with pytest.raises(UsageError, match="default_k 5 is above max_k 3"):
        RetrieverOptions(store="s", max_k=3)
