"""LlamaIndex's `IngestionPipeline` with docstore and cache, into its FAISS store.

Its upserts ask the vector store to delete, which the FAISS store cannot, so the pipeline can only
skip what it has seen; and the store keeps no texts, so the script keeps them beside it.
"""

import json
from pathlib import Path

import faiss
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.vector_stores.faiss import FaissVectorStore
from side_by_side.embedding import WordsEmbedding
from side_by_side.side import DIMENSION, Answers, main


def build(source: Path, store: Path) -> None:
    """Index everything into an empty store."""
    raw = faiss.IndexHNSWFlat(DIMENSION, 32)
    raw.hnsw.efConstruction, raw.hnsw.efSearch = 100, 64
    _run(source, store, _pipeline(FaissVectorStore(faiss_index=raw)), [])


def night(source: Path, store: Path) -> None:
    """Index documents that the docstore has not seen in this form."""
    pipeline = _pipeline(FaissVectorStore.from_persist_path(str(store / "faiss.index")))
    pipeline.load(str(store / "pipeline"))
    _run(source, store, pipeline, json.loads((store / "texts.json").read_text()))


def open_store(store: Path) -> Answers:
    """Load the store and return how it answers."""
    vectors = FaissVectorStore.from_persist_path(str(store / "faiss.index"))
    texts = json.loads((store / "texts.json").read_text())
    embedding = WordsEmbedding()

    def ask(question: str) -> list[str]:
        query = VectorStoreQuery(
            query_embedding=embedding.get_query_embedding(question), similarity_top_k=10
        )
        return [texts[int(row)] for row in vectors.query(query).ids or []]

    return ask


def _pipeline(vectors: FaissVectorStore) -> IngestionPipeline:
    return IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=512, chunk_overlap=64), WordsEmbedding()],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,
        vector_store=vectors,
        cache=IngestionCache(),
    )


def _run(source: Path, store: Path, pipeline: IngestionPipeline, texts: list[str]) -> None:
    documents = [
        Document(text=path.read_text(encoding="utf-8"), id_=str(path.relative_to(source)))
        for path in sorted(source.rglob("*.md"))
    ]
    nodes = pipeline.run(documents=documents)
    texts += [node.get_content() for node in nodes]
    pipeline.persist(str(store / "pipeline"))
    assert isinstance(pipeline.vector_store, FaissVectorStore)  # noqa: S101 - made above
    pipeline.vector_store.persist(str(store / "faiss.index"))
    (store / "texts.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    main(build, night, open_store)
