"""The second try on a PDF: pypdf rebuilds what PDFium refuses."""

import logging
from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import FileNotDecryptedError, PyPdfError

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.page_layout import add_page
from tasks.stages.parsing.refusal import ParseRefused, describe

_BROKEN = (PyPdfError, KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What pypdf raises on documents that are not what they say."""


def read_damaged(path: Path) -> ParsedDocument:
    """Parse a PDF that PDFium refused.

    Raises:
        ParseRefused: pypdf refuses it too.
    """
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it logs every repair
    builder = ElementBuilder()
    builder.warn("damaged: read by the second parser")
    try:
        reader = PdfReader(path)
        for number, page in enumerate(reader.pages, start=1):
            builder.move_to(Place(page=number))
            add_page(builder, page.extract_text(), ())
    except FileNotDecryptedError as error:
        raise ParseRefused(Reason.ENCRYPTED, "a password is needed to open this PDF") from error
    except RecursionError as error:
        raise ParseRefused(Reason.TOO_LARGE, "nested too deeply") from error
    except _BROKEN as error:
        raise ParseRefused(Reason.CORRUPT, describe(error)) from error
    return builder.build()
