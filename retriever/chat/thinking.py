"""Tell a model's reasoning from its answer while both stream in; pure.

Some models send reasoning in a field of its own, others between `<think>` and `</think>`, cut
anywhere.
"""

from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass(slots=True)
class ThinkingSplitter:
    """Takes pieces of a text; gives back (reasoning, answer) of each."""

    _inside: bool = False
    _held: str = ""

    def feed(self, piece: str) -> tuple[str, str]:
        """Return what the next piece adds to reasoning and to the answer."""
        text, self._held = self._held + piece, ""
        reasoning, answer = "", ""
        while text:
            mark = CLOSE if self._inside else OPEN
            before, found, after = text.partition(mark)
            if not found:
                keep = _held_back(text, mark)
                before, self._held = text[: len(text) - keep], text[len(text) - keep :]
                after = ""
            if self._inside:
                reasoning += before
            else:
                answer += before
            if found:
                self._inside = not self._inside
            text = after
        return reasoning, answer

    def end(self) -> tuple[str, str]:
        """Return what was held back, since nothing follows."""
        held, self._held = self._held, ""
        return (held, "") if self._inside else ("", held)


def _held_back(text: str, mark: str) -> int:
    """Return how many characters at the end of a text may begin a mark."""
    return next(
        (n for n in range(min(len(mark) - 1, len(text)), 0, -1) if mark.startswith(text[-n:])), 0
    )
