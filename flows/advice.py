"""What a run that did not end well means, and what to do: pure text, by the state it ended in."""

from dataclasses import dataclass

RUNBOOK = "deployments/RUNBOOK.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a person should know.

    Attributes:
        meaning: What the state says about the collection.
        steps: What to do, in order; Markdown.
        section: Heading of the runbook that goes further.
    """

    meaning: str
    steps: tuple[str, ...]
    section: str


_ADVICE = {
    "Blocked": Advice(
        meaning="A gate, the tripwire or the budget stopped the run. Production is as it was; what "
        "was built stays a candidate.",
        steps=(
            "Read the reason above and the artifacts of this run.",
            "Put the source or the setting right and run again; what is paid for is kept.",
            "When the new version is right all the same: "
            '`nightpress promote VERSION --override "why"`.',
        ),
        section="A gate blocked the version",
    ),
    "Crashed": Advice(
        meaning="The process or its machine went away. Production is as it was; finished batches "
        "are kept, and the next run goes on from there.",
        steps=(
            "See whether the worker is up and has memory and disk left.",
            "Run the deployment again, or leave it to the next night.",
        ),
        section="The night failed",
    ),
    "Cancelled": Advice(
        meaning="Somebody or a time-out ended the run. Production is as it was; finished batches "
        "are kept, and the next run goes on from there.",
        steps=("Run the deployment again when the reason is gone.",),
        section="The night failed",
    ),
}
_FAILED = Advice(
    meaning="The run stopped with an error. Production is as it was; finished batches are kept, "
    "and the next run goes on from there.",
    steps=(
        "Read the reason above; it names the thing, the value and the remedy.",
        "Run the deployment again once it is put right.",
    ),
    section="The night failed",
)


def advice_for(state: str) -> Advice:
    """Return what a state means; one that is not known means failure."""
    return _ADVICE.get(state.replace("Cancelling", "Cancelled"), _FAILED)


def advice_markdown(*, flow: str, collection: str, state: str, reason: str) -> str:
    """Return the page that a person reads.

    Args:
        flow: Name of the flow.
        collection: Name of the collection.
        state: Name of the state in which the run ended.
        reason: What Prefect says of it.
    """
    advice = advice_for(state)
    quoted = "\n".join(f"    {line}" for line in reason.splitlines())
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(advice.steps, start=1))
    return (
        f"# {flow} of {collection}: {state.lower()}\n\n{quoted}\n\n"
        f"{advice.meaning}\n\n{steps}\n\n"
        f'More: {RUNBOOK}, section "{advice.section}".\n'
    )
