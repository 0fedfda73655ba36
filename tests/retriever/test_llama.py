"""The LlamaIndex retriever against the real service."""

from llama_index.core.schema import MetadataMode

from retriever.found import SearchWish
from retriever.llama import NightpressRetriever
from retriever.options import RetrieverOptions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

TRAIN = "The night train to the observatory leaves at eleven."
BREAD = "Bread is baked before dawn in the village."


def test_nodes_carry_their_citation_and_show_a_model_their_text_alone(
    publisher: Publisher, serve: Serve, until: Until
):
    version = publisher.publish("docs", {"train.txt": [BREAD, TRAIN]})
    options = RetrieverOptions(store=publisher.url, poll_s=0.02)
    with serve(options) as http:
        until(lambda: http.get("/readyz").is_success)
        retriever = NightpressRetriever(str(http.base_url), wish=SearchWish(k=2))
        first, second = retriever.retrieve(TRAIN)
        retriever.close()
    assert first.get_content(MetadataMode.LLM) == TRAIN
    assert first.get_content(MetadataMode.EMBED) == TRAIN
    assert second.get_content() == BREAD
    assert first.metadata == {
        "uri": "train.txt",
        "page": 2,
        "section": "Part › 1",
        "collection": "docs",
        "version": version,
    }
    assert first.score is not None
    assert second.score is not None
    assert first.score > second.score
