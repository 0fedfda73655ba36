"""How documents are read and cut into chunks."""

from typing import Literal

from pydantic import BaseModel, Field


class ParsingSettings(BaseModel):
    """How documents are read and cut into chunks."""

    parse_workers: int = Field(
        0, ge=0, le=256, description="Parser processes; 0 means one per available core"
    )
    parse_timeout_s: float = Field(
        120, gt=0, description="Seconds that one document may take, from its own start"
    )
    parse_memory_mib: int = Field(
        2048, ge=128, description="MiB of memory that one parser process may use"
    )
    max_document_mib: int = Field(512, ge=1, description="MiB above which a document is rejected")
    hidden_sheets: bool = Field(False, description="Read hidden sheets of workbooks too")
    ocr: Literal["off", "auto", "force"] = Field(
        "off",
        description="Recognise text in images of pages: `auto` where their own text is missing or "
        "garbled, `force` everywhere; needs `tesseract-ocr`",
    )
    ocr_languages: str = Field(
        "fra+eng",
        description="Languages to recognise, as Tesseract names them",
        pattern=r"^[\w+]+$",
    )
    ocr_timeout_s: float = Field(
        600, gt=0, description="Seconds that recognition may add to the time of one document"
    )
    tika_url: str = Field(
        "",
        description="Apache Tika server that is asked for documents whose text came out poor or "
        "not at all, such as `http://tika:9998`",
    )
    tika_timeout_s: float = Field(120, gt=0, description="Seconds that this server may be silent")
    batch_documents: int = Field(
        200, ge=1, description="Documents in one batch at most; a batch is one task run per stage"
    )
    max_chunk_tokens: int = Field(
        512, ge=16, description="Tokens of a chunk at most, by the embedder's tokenizer"
    )
    chunk_overlap_tokens: int = Field(
        64, ge=0, description="Tokens that neighbouring chunks share at most"
    )
    splitter: Literal["structure", "window"] = Field(
        "structure", description="Where texts are cut: at their structure, or in fixed windows"
    )
    context_line: bool = Field(
        False, description="Begin every chunk with its title and section, embedded with it"
    )
    min_chunk_chars: int = Field(
        50, ge=0, description="Shorter chunks are dropped from documents that have longer ones"
    )
