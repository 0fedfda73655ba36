"""How a version is judged before it goes into production."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from index_store.errors import UsageError
from tasks.stages.gating.expectation import Severity

PROBE_TEXTS = 16  # texts that are embedded once more where that costs nothing
OTHER_GATES = ("golden", "replay")  # gates that are no expectation of a frame


class EngineName(Enum):
    """What checks the expectations."""

    AUTO = "auto"  # Great Expectations when it is installed
    GREAT = "great-expectations"
    BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """How a version is judged.

    Attributes:
        engine: What checks the expectations.
        severities: Severity by name of an expectation or of a whole suite, other than its own.
        probe_texts: Texts of new chunks that are embedded once more to see that their stored
            vectors are theirs; 0 for none. None: PROBE_TEXTS where that costs nothing, else none,
            since nothing that was paid for is paid for twice unasked.
        growth: Documents of a version for each one of the version before, at most.
        golden_path: File of golden questions, empty for none.
        golden_hits: Hits that are looked at for each question.
        golden_drop: How much recall, MRR and nDCG may fall against the live version, in [0, 1].
        golden_least: Least recall of the golden questions, in [0, 1].
        replay_path: Audit log of the retriever whose questions are asked again, empty for none.
        replay_questions: Most recent questions that are asked again.
        replay_overlap: Share of the live version's documents that must be found again, in [0, 1].
    """

    engine: EngineName = EngineName.BUILT_IN
    severities: Mapping[str, Severity] = field(default_factory=dict)
    probe_texts: int | None = None
    growth: float = 3.0
    golden_path: str = ""
    golden_hits: int = 10
    golden_drop: float = 0.05
    golden_least: float = 0.0
    replay_path: str = ""
    replay_questions: int = 50
    replay_overlap: float = 0.5


def parse_severities(words: tuple[str, ...]) -> dict[str, Severity]:
    """Read `NAME=warn` words.

    Raises:
        UsageError: One is no such word.
    """
    severities = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or value not in {each.value for each in Severity}:
            raise UsageError(
                f"setting 'gate_severity': expected NAME=off, NAME=warn or NAME=block, "
                f"found {word!r}"
            )
        severities[name] = Severity(value)
    return severities
