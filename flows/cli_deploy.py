"""The command that puts a collection on a schedule; thin, see `flows.cli`."""

from pathlib import Path

import click

from flows.cli_options import common, json_option, read_settings, sourced
from flows.console import errors_become_exit_codes


@click.command(
    epilog="""\b
Examples:
  nightpress deploy --source /data/documents --store /data/store --dry-run
  nightpress deploy --source /data/documents --store /data/store
  nightpress deploy --collection law --source /data/law --store s3://all --cron "0 3 * * *"
  nightpress deploy --source /data/documents --pool-type kubernetes --image nightpress:1 --json"""
)
@sourced
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("deployments/prefect.yaml"),
    show_default=True,
    help="Deployments; automations/ and work_pools/ lie beside it.",
)
@click.option("--cron", default="", help="When the night begins; 30 4 * * * in the file.")
@click.option("--time-zone", default="", help="Time zone of schedules; Europe/Paris in the file.")
@click.option("--pool", default="", metavar="NAME", help="Work pool; nightpress in the file.")
@click.option(
    "--pool-type",
    type=click.Choice(["process", "docker", "kubernetes"]),
    default="process",
    show_default=True,
    help="What a run is.",
)
@click.option("--image", default="", help="Image of runs that are containers.")
@click.option("--dry-run", is_flag=True, help="Only say what would be changed.")
@common
@json_option
def deploy(
    file: Path,
    cron: str,
    time_zone: str,
    pool: str,
    pool_type: str,
    image: str,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **flags: object,
) -> None:
    """Put a collection on the schedule of a Prefect server; again changes only what differs."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.deploying import deploy as make_it_so  # noqa: PLC0415 - loads Prefect
        from flows.deployment_plan import DeployOptions  # noqa: PLC0415 - likewise

        options = DeployOptions(
            file=file,
            cron=cron,
            time_zone=time_zone,
            pool=pool,
            pool_kind=pool_type,
            image=image,
        )
        make_it_so(settings, options, dry_run=dry_run, as_json=as_json)
