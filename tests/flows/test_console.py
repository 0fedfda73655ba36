"""Every error has its exit code, and every flag and setting is told and heeded."""

import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.console import ExitCode, errors_become_exit_codes, exit_code, print_json, visible
from flows.prefect_environment import prepare_prefect
from index_store import errors
from index_store.errors import IndexStoreError

EXPECTED = {
    "IndexStoreError": ExitCode.FAILED,
    "TransientError": ExitCode.FAILED,
    "NoRoomError": ExitCode.FAILED,
    "RefusedInputError": ExitCode.FAILED,
    "UsageError": ExitCode.MISTAKE,
    "NotFoundError": ExitCode.MISTAKE,
    "StoppedError": ExitCode.STOPPED,
    "ConflictError": ExitCode.RACE,
    "UnknownOutcomeError": ExitCode.RACE,
    "CorruptArtifactError": ExitCode.DAMAGED,
    "UnfitStoreError": ExitCode.DAMAGED,
}
TREE = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, IndexStoreError)
}


@pytest.mark.parametrize("name", TREE)
def test_every_error_has_the_exit_code_that_the_help_names(
    name: str, capsys: pytest.CaptureFixture[str]
):
    error = TREE[name]("it went wrong")
    assert exit_code(error) is EXPECTED[name]
    with pytest.raises(SystemExit, match=str(int(EXPECTED[name]))), errors_become_exit_codes():
        raise error
    told = capsys.readouterr().err
    assert told.startswith("nightpress: it went wrong")
    assert len(told.splitlines()) == 1


def test_an_error_that_a_person_can_mend_says_how(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="4"), errors_become_exit_codes():
        raise errors.ConflictError("another run was first")
    assert capsys.readouterr().err.endswith("; run the same command again\n")


def test_with_json_an_error_is_one_object_unless_the_answer_is_out(
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit, match="3"), errors_become_exit_codes(as_json=True):
        raise errors.StoppedError("too much would vanish")
    told = {"message": "too much would vanish", "exit_code": 3}
    assert json.loads(capsys.readouterr().out) == {"error": told}

    def answer_and_fail():
        print_json({"problems": 1})
        raise errors.CorruptArtifactError("one problem")

    with pytest.raises(SystemExit, match="5"), errors_become_exit_codes(as_json=True):
        answer_and_fail()
    assert json.loads(capsys.readouterr().out) == {"problems": 1}


@pytest.mark.parametrize(
    "surfaced",
    [ValueError("Task run is not set"), errors.StoppedError("the run was interrupted")],
    ids=["of a library", "of ours"],
)
def test_whatever_surfaces_after_ctrl_c_is_told_as_an_interruption(
    surfaced: Exception, capsys: pytest.CaptureFixture[str]
):
    def work_that_covers_the_interruption():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise surfaced from None

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit, match="1"), errors_become_exit_codes(as_json=True):
        work_that_covers_the_interruption()
    told = capsys.readouterr()
    assert told.err == "nightpress: interrupted; the same command goes on from here\n"
    assert told.out == ""
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_ends_well_in_spite_of_ctrl_c_is_done():
    with errors_become_exit_codes():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            done = True
    assert done


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "nightpress: interrupted; the same command goes on from here\n"),
        (ZeroDivisionError("a bug\nand more"), "nightpress: unexpected ZeroDivisionError: a bug"),
    ],
)
def test_what_is_not_ours_exits_1_with_one_line(
    error: BaseException, told: str, capsys: pytest.CaptureFixture[str]
):
    logging.getLogger("nightpress").setLevel(logging.INFO)
    with pytest.raises(SystemExit, match="1"), errors_become_exit_codes():
        raise error
    shown = capsys.readouterr().err
    assert shown.startswith(told)
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("command", [None, *main.commands])
def test_every_command_and_flag_has_help_and_every_command_examples(command: str | None):
    described = main if command is None else main.commands[command]
    assert described.help
    assert described.epilog is not None
    assert "Examples:" in described.epilog
    for parameter in described.params:
        if isinstance(parameter, click.Option) and parameter.name != "version":
            assert parameter.help, parameter.opts
    shown = CliRunner().invoke(main, [*([command] if command else []), "--help"])
    assert shown.exit_code == 0
    assert "nightpress" in shown.output


def test_progress_is_shown_unless_quiet_and_log_lines_from_the_level_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["status", "--store", "memory://none"])
    assert told.exit_code == 0
    assert "no collection yet" in told.output


def test_characters_that_move_the_cursor_are_shown_and_not_sent():
    assert visible("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"


def test_prefect_is_quiet_and_silent_but_heeds_the_person():
    environment = {"PREFECT_SERVER_LOGGING_LEVEL": "DEBUG", "DO_NOT_TRACK": "0"}
    prepare_prefect(environment)
    assert environment["PREFECT_SERVER_LOGGING_LEVEL"] == "DEBUG"
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_reader_that_has_seen_enough_is_no_error():
    many = (
        "import click\nfrom flows.console import errors_become_exit_codes\n"
        "@click.command()\ndef say():\n"
        "    with errors_become_exit_codes():\n"
        "        for _ in range(100_000):\n            click.echo('x' * 80)\nsay()"
    )
    ended = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -n 1', sys.executable, many],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == (f"{'x' * 80}\n", "")
