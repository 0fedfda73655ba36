"""Every expectation of a version, with what it protects; pure.

The bounds leave room for what ordinary nights bring: imports, clear-outs of a small folder, a few
broken documents. Without a version before, what a run parses is only warned about, since nobody
knows yet what is usual in a collection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.stages.gating.expectation import Expectation, Frame, Kind, Severity, Suite, wanted
from tasks.stages.gating.options import GateOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that was measured of a version.

    Attributes:
        frames: A frame for each suite.
        has_before: Whether there is a version before.
        max_tokens: Tokens that a chunk may have.
        dimension: Length that vectors must have.
        allow_removal: Whether documents may vanish in any number.
    """

    frames: Mapping[str, Frame]
    has_before: bool
    max_tokens: int
    dimension: int
    allow_removal: bool = False


def suites(measured: Measured, options: GateOptions) -> tuple[Suite, ...]:
    """Return the suites over what was measured, with the severities that were set."""
    made = (
        *_documents(options, gone=Severity.WARN if measured.allow_removal else Severity.BLOCK),
        *_outcomes(usual=Severity.BLOCK if measured.has_before else Severity.WARN),
        *_changes(),
        *_chunks(measured, usual=Severity.BLOCK if measured.has_before else Severity.WARN),
        *_vectors(),
        *_shards(measured),
    )
    return tuple(
        Suite(
            name=name,
            frame=frame,
            expectations=tuple(
                _as_set(each, options) for each in made if each.name.startswith(f"{name}/")
            ),
        )
        for name, frame in measured.frames.items()
    )


def expectation_names() -> tuple[str, ...]:
    """Return the name of every expectation, for settings and documentation."""
    return tuple(each.name for each in every_expectation())


def every_expectation() -> tuple[Expectation, ...]:
    """Return every expectation with its default bounds."""
    nothing = Measured(frames={}, has_before=True, max_tokens=512, dimension=384)
    return (
        *_documents(GateOptions(), gone=Severity.BLOCK),
        *_outcomes(usual=Severity.BLOCK),
        *_changes(),
        *_chunks(nothing, usual=Severity.BLOCK),
        *_vectors(),
        *_shards(nothing),
    )


def expectations_table() -> str:
    """Return the Markdown table of every expectation, for docs/gates.md."""
    rows = ["| Expectation | Bounds | Not met | What it protects |", "|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {wanted(each)} | {each.severity.value} | {each.protects} |"
        for each in every_expectation()
    ]
    return "\n".join(rows) + "\n"


def _as_set(expectation: Expectation, options: GateOptions) -> Expectation:
    suite = expectation.name.partition("/")[0]
    by_suite = options.severities.get(suite, expectation.severity)
    return replace(expectation, severity=options.severities.get(expectation.name, by_suite))


def _documents(options: GateOptions, *, gone: Severity) -> tuple[Expectation, ...]:
    return (
        Expectation(
            name="inventory/kept",
            column="kept_share",
            least=0.7,
            severity=gone,
            protects="Documents that could be found yesterday can be found today, under whatever "
            "name.",
        ),
        Expectation(
            name="inventory/growth",
            column="growth",
            most=options.growth,
            protects="A wrong mount or a copied archive does not flood the collection in one "
            "night.",
        ),
        Expectation(
            name="inventory/poor",
            column="poor_share_rise",
            most=0.1,
            protects="Documents that can be read well do not give way, a few each night, to "
            "garbled ones.",
        ),
        Expectation(
            name="inventory/languages",
            column="language_shift",
            most=0.3,
            severity=Severity.WARN,
            protects="The mix of languages that readers ask in stays, also where documents come "
            "and go under new names.",
        ),
        Expectation(
            name="folders/kept",
            column="kept_share",
            least=0.1,
            severity=gone,
            protects="No department loses its whole folder unnoticed, however small beside the "
            "rest.",
        ),
    )


def _outcomes(*, usual: Severity) -> tuple[Expectation, ...]:
    return (
        Expectation(
            name="outcomes/rejected",
            column="rejected_share",
            most=0.3,
            severity=usual,
            protects="A broken copy or parser that refuses much of what came in is noticed before "
            "readers notice.",
        ),
        Expectation(
            name="outcomes/killed",
            column="killed_share",
            most=0.2,
            severity=usual,
            protects="Limits of time and memory that are too tight do not empty the collection.",
        ),
        Expectation(
            name="outcomes/silent",
            column="silent_share",
            most=0.3,
            severity=usual,
            protects="Documents that parse without an error and say nothing do not pass for "
            "indexed.",
        ),
        Expectation(
            name="outcomes/poor",
            column="poor_share",
            most=0.5,
            severity=usual,
            protects="Text that came out garbled or with holes does not replace text that can be "
            "read.",
        ),
    )


def _changes() -> tuple[Expectation, ...]:
    return (
        Expectation(
            name="changes/budget",
            column="changed_share",
            most=0.5,
            severity=Severity.WARN,
            protects="A night that rewrites most of a collection is looked at by somebody.",
        ),
        Expectation(
            name="changes/tokens",
            column="tokens_ratio",
            least=0.4,
            most=10.0,
            protects="Documents keep their whole text: a parser or an export that stops half-way "
            "is noticed.",
        ),
        Expectation(
            name="changes/language",
            column="language_changed_share",
            most=0.3,
            protects="Readers find documents in the language they were written in, not a "
            "translation or noise.",
        ),
        Expectation(
            name="changes/rights",
            column="opened_share",
            most=0.5,
            protects="Restricted documents do not become readable for everybody because their "
            "sidecars went missing.",
        ),
        Expectation(
            name="changes/addresses",
            column="address_lost_share",
            most=0.5,
            severity=Severity.WARN,
            protects="Citations keep the links that people follow.",
        ),
    )


def _chunks(measured: Measured, *, usual: Severity) -> tuple[Expectation, ...]:
    return (
        Expectation(
            name="chunks/tokens",
            column="tokens",
            least=1,
            most=measured.max_tokens,
            protects="No chunk is longer than the embedder reads, so that no text is cut off "
            "silently.",
        ),
        Expectation(
            name="chunks/garbled",
            column="garbled_share",
            most=0.02,
            mostly=0.8,
            severity=usual,
            protects="What is shown to readers are letters that somebody wrote, not a wrong "
            "encoding.",
        ),
        Expectation(
            name="chunks/letters",
            column="letter_share",
            least=0.5,
            mostly=0.7,
            severity=usual,
            protects="Chunks are language, not rules, borders and punctuation.",
        ),
        Expectation(
            name="chunks/words",
            column="word_length",
            most=40,
            mostly=0.7,
            severity=usual,
            protects="Chunks are words, not encoded data or text without blanks.",
        ),
        Expectation(
            name="repetitions/repeated",
            column="repeated_share",
            most=0.6,
            severity=usual,
            protects="One text in many copies, such as a login page saved for every document, does "
            "not crowd out the rest.",
        ),
    )


def _vectors() -> tuple[Expectation, ...]:
    return (
        Expectation(
            name="vectors/norm",
            column="norm",
            least=0.98,
            most=1.02,
            protects="Scores are cosines, as every threshold and every comparison takes them.",
        ),
        Expectation(
            name="vectors/distinct",
            column="distinct_share",
            least=0.5,
            protects="An embedder that answers everything with the same vector is noticed.",
        ),
        Expectation(
            name="probe/agreement",
            column="agreement",
            least=0.95,
            kind=Kind.MEAN,
            protects="Stored vectors are those that the embedder of today makes of their texts, so "
            "that questions meet them.",
        ),
        Expectation(
            name="probe/found",
            column="found",
            least=0.9,
            kind=Kind.MEAN,
            protects="A text that is asked for word for word is found: rows and vectors belong "
            "together.",
        ),
    )


def _shards(measured: Measured) -> tuple[Expectation, ...]:
    return (
        Expectation(
            name="shards/dimension",
            column="dimension",
            least=measured.dimension,
            most=measured.dimension,
            protects="Every shard can be asked with the embedder of the version.",
        ),
        Expectation(
            name="shards/dead",
            column="dead_share",
            most=0.9,
            severity=Severity.WARN,
            protects="Readers do not download and search shards that are dead for the most part.",
        ),
        Expectation(
            name="shards/recall",
            column="recall",
            least=0.5,
            severity=Severity.WARN,
            protects="Graphs that find little are compacted; until then their shard is searched "
            "exactly, which is slow.",
        ),
    )
