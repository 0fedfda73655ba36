"""Rich Text as Outlook folds it into messages ("compressed RTF", MS-OXRTFCP).

Invariant: what comes out is as long as the header says, or shorter when the data ends early.
"""

from index_store.records import Reason
from tasks.stages.parsing.refusal import ParseRefused

_HEADER_BYTES = 16
_FOLDED, _PLAIN = b"LZFu", b"MELA"
_WINDOW_BYTES = 4096
_MOST_BYTES = 64 << 20
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def unfold_rtf(data: bytes) -> bytes:
    """Return the Rich Text that was folded.

    Raises:
        ParseRefused: It is of an unknown kind, or unfolds to too much.
    """
    size_bytes, kind = int.from_bytes(data[4:8], "little"), data[8:12]
    if size_bytes > _MOST_BYTES:
        raise ParseRefused(Reason.TOO_LARGE, f"Rich Text of {size_bytes} bytes in a message")
    if kind == _PLAIN:
        return data[_HEADER_BYTES : _HEADER_BYTES + size_bytes]
    if kind != _FOLDED:
        raise ParseRefused(Reason.CORRUPT, "Rich Text of an unknown kind in a message")
    return _unfold(data[_HEADER_BYTES:], size_bytes)


def _unfold(data: bytes, size_bytes: int) -> bytes:
    """Undo the folding: eight tokens after each byte of flags, a byte or a place in the window."""
    window = _Window()
    position = 0
    while len(window.unfolded) < size_bytes and position < len(data):
        flags, position = data[position], position + 1
        for bit in range(8):
            if not flags >> bit & 1:
                window.add(data[position : position + 1])
                position += 1
                continue
            token = int.from_bytes(data[position : position + 2], "big")
            position += 2
            if not window.repeat(token >> 4, (token & 15) + 2):
                return bytes(window.unfolded[:size_bytes])
    return bytes(window.unfolded[:size_bytes])


class _Window:
    """The last 4096 bytes, and all that came out."""

    def __init__(self) -> None:
        self.unfolded = bytearray()
        self._bytes = bytearray(_DICTIONARY.ljust(_WINDOW_BYTES, b"\0"))
        self._end = len(_DICTIONARY)

    def add(self, data: bytes | bytearray) -> None:
        for byte in data:
            self.unfolded.append(byte)
            self._bytes[self._end] = byte
            self._end = (self._end + 1) % _WINDOW_BYTES

    def repeat(self, start: int, length: int) -> bool:
        """Add bytes that came before; False when the place is the end, which ends the text."""
        if start == self._end:
            return False
        for offset in range(start, start + length):
            self.add(self._bytes[offset % _WINDOW_BYTES :][:1])
        return True
