"""LangChain's indexing API over its FAISS store, as its documentation puts them together.

A record manager in SQLite tells what is new; `index(..., cleanup="full")` deletes what is gone. The
FAISS store is an exact one, since an HNSW index cannot delete; it is saved whole, with pickle.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

warnings.filterwarnings("ignore", category=DeprecationWarning)

import faiss  # noqa: E402 - after the filter
from langchain_classic.indexes import SQLRecordManager  # noqa: E402
from langchain_community.docstore.in_memory import InMemoryDocstore  # noqa: E402
from langchain_community.vectorstores import FAISS  # noqa: E402
from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402
from langchain_core.indexing import index  # noqa: E402
from langchain_text_splitters import RecursiveCharacterTextSplitter  # noqa: E402
from side_by_side.side import CHUNK_CHARS, DIMENSION, OVERLAP_CHARS, Answers, main  # noqa: E402

from index_store.embedders.hashing import HashingEmbedder  # noqa: E402


class _Words(Embeddings):
    def __init__(self) -> None:
        self._embedder = HashingEmbedder(DIMENSION)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embedder.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def build(source: Path, store: Path) -> None:
    """Index everything into an empty store."""
    empty = FAISS(_Words(), faiss.IndexFlatL2(DIMENSION), InMemoryDocstore(), {})
    _index(source, store, empty)


def night(source: Path, store: Path) -> None:
    """Index what changed and delete what is gone."""
    _index(source, store, _load(store))


def open_store(store: Path) -> Answers:
    """Load the store and return how it answers."""
    loaded = _load(store)

    def ask(question: str) -> list[str]:
        return [hit.page_content for hit in loaded.similarity_search(question, k=10)]

    return ask


def _index(source: Path, store: Path, vectors: FAISS) -> None:
    records = SQLRecordManager("faiss/documents", db_url=f"sqlite:///{store}/records.db")
    records.create_schema()
    index(
        _Chunks(source),
        records,
        vectors,
        batch_size=1000,
        cleanup="full",
        source_id_key="source",
        key_encoder="sha256",
    )
    vectors.save_local(str(store))


def _load(store: Path) -> FAISS:
    return FAISS.load_local(str(store), _Words(), allow_dangerous_deserialization=True)


class _Chunks:
    """Every chunk of a folder, one after another; the indexing API iterates over it."""

    def __init__(self, source: Path) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Document]:
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS
        )
        for path in sorted(self._source.rglob("*.md")):
            text = path.read_text(encoding="utf-8")
            yield from splitter.create_documents([text], [{"source": str(path)}])


if __name__ == "__main__":
    main(build, night, open_store)
