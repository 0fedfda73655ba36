"""The commands about nights; thin, see `flows.cli`."""

from pathlib import Path

import click

from flows.cli_options import common, json_option, read_settings
from flows.console import errors_become_exit_codes


@click.command(
    epilog="""\b
Examples:
  nightpress runs --store ./store
  nightpress runs --store ./store --limit 90 --json | jq '.runs[] | [.run, .end, .cost.spent]'"""
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Runs at most."
)
@common
@json_option
def runs(limit: int, as_json: bool, quiet: bool, **flags: object) -> None:
    """List how the last runs ended, also those that published nothing, the newest first."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.night_commands import show_runs  # noqa: PLC0415 - loads the store

        show_runs(settings, limit=limit, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress report --store ./store --open          # the version in production
  nightpress report 3f9c21 --store ./store
  nightpress report 3f9c21 --store s3://bucket/store --out morning.html"""
)
@click.argument("version", metavar="[V]", required=False)
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the page to this file; by default its place in the store is told.",
)
@common
@json_option
def report(
    version: str | None,
    open_it: bool,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **flags: object,
) -> None:
    """Tell where the page of a version is: what the night did, what it cost, how good it is."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.night_commands import show_report  # noqa: PLC0415 - loads the store

        show_report(settings, version, out=out, open_it=open_it, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress evaluate --questions questions.yaml --store ./store --out answers.xlsx
  nightpress evaluate --marks answers.xlsx --store ./store     # what people filled in
  nightpress evaluate 3f9c21 --store ./store --against 8a0b4e --json
  nightpress evaluate --questions questions.yaml --store ./store --least 7.5
  nightpress evaluate --store ./store --set judge_url=http://localhost:11434/v1 \\
    --set judge_model=mistral-nemo"""
)
@click.argument("version", metavar="[V]", required=False)
@click.option(
    "--questions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Questions with the answers that are right, YAML or CSV.",
)
@click.option(
    "--marks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Marks that people gave to the last answers, CSV or XLSX; nothing is asked again.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Write answers and marks to a .csv or .xlsx file; may be repeated.",
)
@click.option(
    "--against",
    metavar="V",
    help="Compare with the last evaluation of a version; asks only what --questions names.",
)
@click.option(
    "--least", type=click.FloatRange(0, 10), help="Exit with 3 when the final mark is lower."
)
@common
@json_option
def evaluate(
    version: str | None,
    questions: Path | None,
    marks: Path | None,
    out: tuple[Path, ...],
    against: str | None,
    least: float | None,
    as_json: bool,
    quiet: bool,
    **flags: object,
) -> None:
    """Ask a version questions and gather marks: exactness 50 %, completeness 30 %, format 20 %."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.evaluating import EvaluationOrder, run_evaluation  # noqa: PLC0415 - loads FAISS

        order = EvaluationOrder(
            version=version,
            questions=questions,
            marks=marks,
            out=out,
            against=against,
            least=least,
        )
        run_evaluation(settings, order, as_json=as_json)


NIGHT_COMMANDS: tuple[click.Command, ...] = (runs, report, evaluate)
