"""Any LlamaIndex node postprocessor, named by its class, as a reranker."""

import importlib
from collections.abc import Sequence
from typing import Any

from index_store.errors import TransientError, UsageError

_LOWEST = float("-1e30")  # of a text that the postprocessor leaves out


class LlamaReranker:
    """Wraps a node postprocessor.

    Args:
        postprocessor: The LlamaIndex object.
    """

    def __init__(self, postprocessor: Any) -> None:  # noqa: ANN401 - LlamaIndex has no stubs here
        self._postprocessor = postprocessor

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Ask the postprocessor; texts that it leaves out come last, in the order they had.

        Raises:
            TransientError: It failed.
        """
        from llama_index.core.schema import NodeWithScore, TextNode  # noqa: PLC0415 - slow to load

        nodes = [
            NodeWithScore(node=TextNode(text=text, id_=str(place)), score=0.0)
            for place, text in enumerate(texts)
        ]
        try:
            ordered = self._postprocessor.postprocess_nodes(nodes, query_str=question)
        except Exception as error:  # any provider's own kinds
            raise TransientError(f"reranker: {type(error).__name__}") from error
        found = {int(each.node.node_id): float(each.score or 0.0) for each in ordered}
        return [found.get(place, _LOWEST) for place in range(len(texts))]

    def close(self) -> None:
        """Nothing is held."""


def open_llama_reranker(name: str) -> LlamaReranker:
    """Make a postprocessor of a class without arguments.

    Args:
        name: Dotted name of the class, such as "my_package.rerank.Cheap".

    Raises:
        UsageError: There is no such class, or it needs arguments.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return LlamaReranker(getattr(importlib.import_module(module), attribute)())
    except (ImportError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"reranker {name!r} cannot be made: {error}") from error
