"""How others embed texts; run by the interpreter of the peers' own environment.

    PEER_PYTHON embedding_loops.py {source|llama-index} URL KEY TEXTS VECTORS

Reads a JSON list of texts, writes vectors as JSON, and prints one JSON object: seconds, error.
`source` is the loop of the system taken over: 32 texts a request, five tries with a doubling wait
when "429" stands in the error, halves when "Too many tokens" does. `llama-index` is
MistralAIEmbedding as it comes, with the same 32 texts a request.
"""

import json
import sys
import time
from pathlib import Path

from llama_index.embeddings.mistralai import MistralAIEmbedding
from mistralai.client import Mistral

SUB_BATCH = 32
MAX_RETRIES = 5
BACKOFF_S = 1.0


def main() -> None:
    """Embed and report."""
    loop, url, key, texts_path, vectors_path = sys.argv[1:]
    texts = json.loads(Path(texts_path).read_text())
    embedding = MistralAIEmbedding(api_key=key, embed_batch_size=SUB_BATCH)
    embedding._client = Mistral(api_key=key, server_url=url)
    began, error, vectors = time.monotonic(), "", []
    try:
        if loop == "llama-index":
            vectors = embedding.get_text_embedding_batch(texts)
        else:
            for start in range(0, len(texts), SUB_BATCH):
                vectors += with_retries(embedding, texts[start : start + SUB_BATCH])
        Path(vectors_path).write_text(json.dumps(vectors))
    except Exception as failure:  # noqa: BLE001  what ends a run is the figure
        error = f"{type(failure).__name__}: {failure}"[:160]
    print(json.dumps({"seconds": time.monotonic() - began, "error": error}))


def with_retries(embedding: MistralAIEmbedding, texts: list[str]) -> list[list[float]]:
    """Embed one sub-batch as the system taken over did."""
    for attempt in range(MAX_RETRIES):
        try:
            return embedding.get_text_embedding_batch(texts)
        except Exception as failure:
            told = str(failure)
            if "Too many tokens" in told and len(texts) > 1:
                middle = len(texts) // 2
                first = with_retries(embedding, texts[:middle])
                return first + with_retries(embedding, texts[middle:])
            if "429" not in told:
                raise
            time.sleep(BACKOFF_S * 2**attempt)
    raise RuntimeError(f"{MAX_RETRIES} tries failed")


if __name__ == "__main__":
    main()
