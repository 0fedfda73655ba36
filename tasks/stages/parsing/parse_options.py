"""What parsers are told besides the document.

Few parsers heed any of it, and documents lie inside documents, so it is not handed down through
every call: the process that parses puts it in force once.

Invariant: without `under`, the defaults are in force.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from enum import Enum

from index_store.errors import UsageError


class OcrMode(Enum):
    """When text is recognised in the images of pages."""

    OFF = "off"  # never
    AUTO = "auto"  # on pages whose own text is missing or garbled
    FORCE = "force"  # on every page, instead of its own text


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseOptions:
    """How parsers read.

    Attributes:
        hidden_sheets: Whether hidden sheets of workbooks are read.
        ocr: When text is recognised in images of pages.
        ocr_languages: Languages to recognise, as Tesseract names them, joined by "+".
        ocr_timeout_s: Seconds that recognition may add to the time of one document.
    """

    hidden_sheets: bool = False
    ocr: OcrMode = OcrMode.OFF
    ocr_languages: str = "fra+eng"
    ocr_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        """Refuse what no engine understands."""
        if not all(part.isidentifier() for part in self.ocr_languages.split("+")):
            raise UsageError(
                f"ocr languages {self.ocr_languages!r}: expected names such as fra+eng"
            )

    def as_json(self) -> dict[str, object]:
        """Return the options as plain values."""
        return {**asdict(self), "ocr": self.ocr.value}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "ParseOptions":
        """Read what `as_json` returned."""
        return cls(**{**values, "ocr": OcrMode(values["ocr"])})  # type: ignore[arg-type]


DEFAULT_OPTIONS = ParseOptions()
_in_force: ContextVar[ParseOptions] = ContextVar("parse_options", default=DEFAULT_OPTIONS)


def options_in_force() -> ParseOptions:
    """Return what parsers are told here."""
    return _in_force.get()


@contextlib.contextmanager
def under(options: ParseOptions) -> Iterator[None]:
    """Put options in force for the parsers called inside."""
    token = _in_force.set(options)
    try:
        yield
    finally:
        _in_force.reset(token)
