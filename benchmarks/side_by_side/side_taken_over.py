"""The system taken over, in its own design: LlamaIndex, FAISS and a JSON docstore in one folder.

One FAISS HNSW index behind a `VectorStoreIndex`, nodes in a `SimpleDocumentStore`, both persisted
in place every five batches of 5,000 nodes; chunked by `TokenTextSplitter` in threads; changes told
by modification times in a `metadata.json`; removed documents stay in the index. Its readers lost
plain text; here they read it, so that there is something to compare.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import BaseNode, Document
from llama_index.vector_stores.faiss import FaissVectorStore
from side_by_side.embedding import WordsEmbedding
from side_by_side.side import DIMENSION, Answers, main

BATCH_NODES = 5000
PERSIST_EVERY = 5  # batches
MIN_CHUNK_CHARS = 50
CORES = os.cpu_count() or 1


def build(source: Path, store: Path) -> None:
    """Index everything anew."""
    nodes = _nodes(sorted(source.rglob("*.md")))
    raw = faiss.IndexHNSWFlat(DIMENSION, 32)
    raw.hnsw.efConstruction, raw.hnsw.efSearch = 100, 64
    context = StorageContext.from_defaults(vector_store=FaissVectorStore(faiss_index=raw))
    index = VectorStoreIndex(
        [], storage_context=context, embed_model=WordsEmbedding(), store_nodes_override=True
    )
    for number, start in enumerate(range(0, len(nodes), BATCH_NODES)):
        index.insert_nodes(nodes[start : start + BATCH_NODES])
        if number % PERSIST_EVERY == 0:
            index.storage_context.persist(str(store))
    index.storage_context.persist(str(store))
    _write_metadata(source, store, nodes)


def night(source: Path, store: Path) -> None:
    """Add what is new or newer; forget what is gone, in the metadata alone."""
    metadata = json.loads((store / "metadata.json").read_text())
    index = _load(store)
    paths = sorted(source.rglob("*.md"))
    changed = [
        path for path in paths if path.stat().st_mtime > metadata.get(str(path), {}).get("mtime", 0)
    ]
    nodes = _nodes(changed)
    if nodes:
        index.insert_nodes(nodes)
    index.storage_context.persist(str(store))
    _write_metadata(source, store, nodes)


def open_store(store: Path) -> Answers:
    """Load the index and return how it answers."""
    retriever = _load(store).as_retriever(similarity_top_k=10)

    def ask(question: str) -> list[str]:
        return [hit.node.get_content() for hit in retriever.retrieve(question)]

    return ask


def _load(store: Path) -> VectorStoreIndex:
    context = StorageContext.from_defaults(
        vector_store=FaissVectorStore.from_persist_dir(str(store)), persist_dir=str(store)
    )
    index = load_index_from_storage(
        context, embed_model=WordsEmbedding(), store_nodes_override=True
    )
    assert isinstance(index, VectorStoreIndex)  # noqa: S101 - the only kind written here
    return index


def _nodes(paths: list[Path]) -> list[BaseNode]:
    documents = [
        Document(text=path.read_text(encoding="utf-8"), metadata={"file_path": str(path)})
        for path in paths
    ]
    splitter = TokenTextSplitter(chunk_size=512, chunk_overlap=64, include_metadata=True)
    with ThreadPoolExecutor(CORES) as pool:
        parts = pool.map(
            splitter.get_nodes_from_documents, [documents[each::CORES] for each in range(CORES)]
        )
        nodes = [node for part in parts for node in part]
    return [node for node in nodes if len(node.get_content().strip()) >= MIN_CHUNK_CHARS]


def _write_metadata(source: Path, store: Path, nodes: list[BaseNode]) -> None:
    ids: dict[str, list[str]] = {}
    for node in nodes:
        ids.setdefault(str(node.metadata["file_path"]), []).append(node.node_id)
    metadata = {
        str(path): {"mtime": path.stat().st_mtime, "doc_ids": ids.get(str(path), [])}
        for path in sorted(source.rglob("*.md"))
    }
    (store / "metadata.json").write_text(json.dumps(metadata))


if __name__ == "__main__":
    main(build, night, open_store)
