"""The command `nightpress`.

Commands are thin: they read settings, call one function and print its result. What is heavy
(Prefect, FAISS, the web server) is imported by the command that needs it, so that `--help` answers
at once.
"""

import gc

import click

from flows.cli_deploy import deploy
from flows.cli_nights import NIGHT_COMMANDS
from flows.cli_options import common, json_option, read_settings, sourced
from flows.cli_store import STORE_COMMANDS
from flows.cli_versions import VERSION_COMMANDS
from flows.console import errors_become_exit_codes

_EPILOGS = {
    "main": """\b
Examples:
  nightpress plan   --source docs --store ./store
  nightpress run    --source docs --store ./store
  nightpress search "how long is the trial period?" --store ./store
  nightpress serve  --store ./store --port 8080
  nightpress versions --store ./store
  nightpress rollback --store ./store

Exit codes: 0 done, 2 your mistake, 3 stopped by a gate, tripwire or budget, 4 lost a race,
5 the store is unfit or damaged, 1 anything else.""",
    "plan": """\b
Examples:
  nightpress plan --source docs --store ./store
  nightpress plan --source docs --store ./store --json | jq .counts""",
    "run": """\b
Examples:
  nightpress run --source docs --store ./store
  nightpress run --source hr=/mnt/hr --source law=/mnt/law --store ./store --collection office
  nightpress run --source docs --store ./store --full
  nightpress run --store ./store --stored-text --embedder openai:text-embedding-3-small --no-promote
  nightpress run --source docs --store ./store --set parse_timeout_s=30 --json""",
    "search": """\b
Examples:
  nightpress search "Quelle est la durée de la période d'essai ?" --store ./store
  nightpress search "trial period" --store ./store -k 10 --version 3f9c21 --json
  nightpress search "congés payés" --mode lexical --filter language=fr --filter theme=paie
  nightpress search "remote work" --most-k 15 --good-score 0.4 --recency 0.3 --half-life-days 180
  nightpress search "salary bands" --group hr --filter path_prefix=policies/ --per-document 1""",
    "status": """\b
Examples:
  nightpress status --store ./store
  nightpress status --store ./store --json""",
    "rejected": """\b
Examples:
  nightpress rejected --store ./store
  nightpress run --source docs --store ./store --retry-rejected""",
    "serve": """\b
Examples:
  nightpress serve --store ./store --port 8080
  curl -s localhost:8080/v1/search -d '{"query": "trial period", "k": 3}'""",
    "key": """\b
Examples:
  nightpress key alice
  nightpress key open-webui --scope query --scope forward --json""",
}


@click.group(epilog=_EPILOGS["main"], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nightpress")
def main() -> None:
    """Re-index a document collection every night and publish a verified, versioned index."""


@main.command(epilog=_EPILOGS["plan"])
@sourced
@common
@json_option
def plan(as_json: bool, quiet: bool, **flags: object) -> None:
    """Show what a run would do and cost; changes nothing."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.looking import plan_only  # noqa: PLC0415 - loads the store

        plan_only(settings, as_json=as_json)


@main.command(epilog=_EPILOGS["run"])
@sourced
@common
@json_option
@click.option("--promote/--no-promote", default=None, help="Move production when checks pass.")
@click.option("--budget", type=float, help="Most that the run may spend on embedding.")
def run(as_json: bool, quiet: bool, **flags: object) -> None:
    """Index what changed, check it, publish it, promote it."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.running import run_flow  # noqa: PLC0415 - loads Prefect

        run_flow(settings, as_json=as_json)


@main.command(epilog=_EPILOGS["search"])
@click.argument("question")
@common
@json_option
@click.option("-k", "count", type=click.IntRange(1, 100), help="Hits at most.")
@click.option("--most-k", type=click.IntRange(1, 100), help="Hits at most while few are good.")
@click.option("--good-score", type=click.FloatRange(-1, 1), help="Cosine of a good hit.")
@click.option("--recency", type=click.FloatRange(0, 1), help="Share of a score that age takes.")
@click.option(
    "--half-life-days", type=click.FloatRange(0, min_open=True), help="Age for half of it."
)
@click.option("--version", "version", metavar="V", help="Version, or the beginning of one.")
@click.option("--channel", default="production", show_default=True, help="Channel to search.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "dense", "lexical"]),
    default="hybrid",
    show_default=True,
    help="By vectors and words, or by one of them.",
)
@click.option(
    "--filter",
    "filters",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only documents that agree; may be repeated. NAME: path_prefix, source, document_type, "
    "theme, language, media_type, keyword, date_from, date_until, or a field of the sidecars.",
)
@click.option("--group", "groups", metavar="G", multiple=True, help="Ask as one in this group.")
@click.option("--all-groups", is_flag=True, help="Leave rights aside: you may read the store.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Least cosine similarity.")
@click.option("--per-document", type=click.IntRange(1), help="Hits of one document at most.")
@click.option("--near-duplicates", is_flag=True, help="Show what says the same as a better hit.")
@click.option("--neighbours", type=click.IntRange(0, 10), default=0, help="Chunks joined around.")
def search(
    question: str,
    as_json: bool,
    count: int | None,
    most_k: int | None,
    good_score: float | None,
    recency: float | None,
    half_life_days: float | None,
    version: str | None,
    channel: str,
    mode: str,
    filters: tuple[str, ...],
    groups: tuple[str, ...],
    all_groups: bool,
    min_score: float | None,
    per_document: int | None,
    near_duplicates: bool,
    neighbours: int,
    quiet: bool,
    **flags: object,
) -> None:
    """Ask the published index a question."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.looking import search_once  # noqa: PLC0415 - loads FAISS
        from flows.search_filters import (  # noqa: PLC0415 - loads numpy
            AskedHits,
            document_filter,
            shown_hits,
        )
        from index_store.search_options import Retrieval, SearchOptions  # noqa: PLC0415 - likewise

        hits = AskedHits(count, most_k, good_score, recency, half_life_days)
        k, adaptive, preferred = shown_hits(settings, hits)
        options = SearchOptions(
            k=k,
            adaptive=adaptive,
            recency=preferred,
            retrieval=Retrieval(mode),
            filter=document_filter(filters),
            groups=frozenset(groups) or None,
            all_groups=all_groups,
            min_score=min_score,
            per_document=per_document,
            near_duplicates=near_duplicates,
            neighbours=neighbours,
        )
        search_once(settings, question, options, version=version, channel=channel, as_json=as_json)


@main.command(epilog=_EPILOGS["status"])
@common
@json_option
def status(as_json: bool, quiet: bool, **flags: object) -> None:
    """Show collections, channels, versions, counts, sizes and age."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.looking import show_status  # noqa: PLC0415 - loads the store

        show_status(settings, only=flags["collection"] is not None, as_json=as_json)


@main.command(epilog=_EPILOGS["rejected"])
@common
@json_option
def rejected(as_json: bool, quiet: bool, **flags: object) -> None:
    """List the documents that are rejected, with their reasons."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.looking import show_rejected  # noqa: PLC0415 - loads the store

        show_rejected(settings, as_json=as_json)


@main.command(epilog=_EPILOGS["serve"])
@common
@click.option("--host", metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.")
def serve(quiet: bool, **flags: object) -> None:
    """Serve search over HTTP; new versions are picked up without a restart."""
    with errors_become_exit_codes():
        settings = read_settings(flags, quiet=quiet)
        gc.disable()  # what loading makes is no garbage; looking for some takes a tenth of the time
        from flows.serving import serve_store  # noqa: PLC0415 - loads the web server

        serve_store(settings)


@main.command(epilog=_EPILOGS["key"])
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["query", "admin", "forward", "upload"]),
    multiple=True,
    default=("query",),
    show_default=True,
    help="What the key may do; `forward` speaks for other users, as Open WebUI does.",
)
@json_option
def key(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key for somebody who may ask the retriever."""
    with errors_become_exit_codes(as_json=as_json):
        from flows.serving import make_key  # noqa: PLC0415 - loads the web server

        make_key(name, scopes, as_json=as_json)


for _command in (deploy, *VERSION_COMMANDS, *NIGHT_COMMANDS, *STORE_COMMANDS):
    main.add_command(_command)

if __name__ == "__main__":
    main()
