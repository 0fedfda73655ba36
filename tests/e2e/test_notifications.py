"""Whoever is to be told of a night is told, once, over every channel; of a good one nobody is."""

import contextlib
import html
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.stages.parsing.keeper import descendants
from tests.support.command_line import CommandLine
from tests.support.notification_receivers import SLACK, MailServer, SlackReceiver
from tests.support.prefect_service import PrefectService, Receiver, prefect_service, wait_for
from tests.support.small_sources import prose, write

pytestmark = pytest.mark.soak

DEPLOYMENT = "reindex/documents"
FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
SLACK_PATH = "/services/T00000000/B00000000/notasecretofanybodynever"


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.close()


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[SlackReceiver]:
    made = SlackReceiver(tmp_path)
    yield made
    made.close()


@pytest.fixture
def service(tmp_path: Path, slack: SlackReceiver) -> Iterator[PrefectService]:
    """A server that finds our receiver where Slack is; nothing else goes over TLS."""
    with prefect_service(tmp_path / "prefect", **slack.environment) as started:
        for name in slack.environment:  # the worker and its runs need no proxy
            del started.environment[name]
        yield started


@pytest.fixture
def command(
    tmp_path: Path, service: PrefectService, webhook: Receiver, mail: MailServer
) -> CommandLine:
    for number in range(8):
        write(tmp_path / "source" / f"{number:03d}.txt", prose(f"topic {number}"))
    post = f"mailto://127.0.0.1:{mail.port}?from=night@press.example&to=ops@press.example"
    told = {
        "NIGHTPRESS_SOURCE": str(tmp_path / "source"),
        "NIGHTPRESS_STORE": str(tmp_path / "store"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
        "NIGHTPRESS_BATCH_DOCUMENTS": "2",
        "NIGHTPRESS_NOTIFY_WEBHOOK": webhook.url,
        "NIGHTPRESS_NOTIFY_SLACK": f"https://{SLACK}{SLACK_PATH}",
        "NIGHTPRESS_NOTIFY_EMAIL": post,
    }
    return CommandLine(folder=tmp_path, environment={**service.environment, **told})


def test_each_night_that_ends_early_is_told_once_over_every_channel_and_a_good_one_is_not(
    command: CommandLine,
    service: PrefectService,
    webhook: Receiver,
    mail: MailServer,
    slack: SlackReceiver,
    tmp_path: Path,
):
    command("deploy", "--file", str(FILE), "--cron", "0 0 1 1 *")
    worker = service.start_worker()
    source = tmp_path / "source"

    def told(count: int) -> bool:
        return min(len(webhook.bodies), len(mail.mails), len(slack.posts)) >= count

    def ends_as(run: str, state: str) -> None:
        wait_for(lambda: service.runs(id={"any_": [run]})[0]["state_name"] == state, state)

    ends_as(service.create_run(DEPLOYMENT), "Completed")

    for number in range(8, 200):
        write(source / f"{number:03d}.txt", prose(f"topic {number}", 40))
    ends_as(crashed := service.create_run(DEPLOYMENT), "Running")
    for process in descendants(worker.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    ends_as(crashed, "Crashed")
    wait_for(lambda: told(1), "a message about the process that is gone")

    wrong = {
        "source": [str(source)],
        "store": str(tmp_path / "store"),
        "embedder": "hashing",
        "golden_questions": str(tmp_path / "nowhere.yaml"),
    }
    ends_as(failed := service.create_run(DEPLOYMENT, parameters={"settings": wrong}), "Failed")
    wait_for(lambda: told(2), "a message about the questions that are missing")

    shutil.move(source, tmp_path / "unmounted")
    ends_as(blocked := service.create_run(DEPLOYMENT), "Blocked")
    wait_for(lambda: told(3), "a message about the source that is gone")

    ends = {crashed: "Crashed", failed: "Failed", blocked: "Blocked"}
    reasons = [str(service.runs(id={"any_": [run]})[0]["state"]["message"]) for run in ends]
    assert "cannot be read" in reasons[-1]
    subjects = [f"reindex-documents: {state}" for state in ends.values()]

    assert [each["state"] for each in webhook.bodies] == list(ends.values())
    assert [each["reason"] for each in webhook.bodies] == reasons
    for each, run in zip(webhook.bodies, ends, strict=True):
        assert run in each["url"]
        assert "collection:documents" in each["tags"]

    assert [each.message["Subject"] for each in mail.mails] == subjects
    for each, run, reason in zip(mail.mails, ends, reasons, strict=True):
        assert each.sender == "night@press.example"
        assert each.recipients == ("ops@press.example",)
        assert_says(each.text, run, reason)

    assert {path for path, _ in slack.posts} == {SLACK_PATH}
    assert set(slack.reached) == {f"{SLACK}:443"}
    attached = [post["attachments"][0] for _, post in slack.posts]
    assert [each["title"] for each in attached] == subjects
    for each, run, reason in zip(attached, ends, reasons, strict=True):
        assert_says(html.unescape(each["text"]), run, reason)


def assert_says(text: str, run: str, reason: str) -> None:
    lines = text.replace("\r\n", "\n").splitlines()
    assert "the collection documents" in lines[0]
    assert reason in "\n".join(lines)
    assert f"/runs/flow-run/{run}" in text
    assert "prefect deployment run 'reindex/documents'" in lines[-1]
