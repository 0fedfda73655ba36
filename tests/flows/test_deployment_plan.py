"""What `nightpress deploy` decides before it asks a server anything."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from flows.deployment_plan import DeployOptions, laid_over, plan_deployment, run_parameters
from flows.deployment_server import base_template
from flows.settings import NightSettings, Settings
from index_store.errors import UsageError

FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
SECRET = "sk-not-to-be-seen"  # noqa: S105 - invented
PARIS = ZoneInfo("Europe/Paris")


def settings(**more: object) -> Settings:
    told = {"source": ("/data/docs",), "store": "/data/store", "collection": "law"}
    return Settings.model_validate({**told, **more})


def test_parameters_hold_what_is_not_the_default_with_absolute_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    told = run_parameters(
        settings(
            source=("hr=docs", "s3://bucket/law"),
            store="store",
            embedder="hashing",
            golden_questions="golden.yaml",
            parse_timeout_s=30,
        )
    )
    assert told == {
        "collection": "law",
        "source": [f"hr={tmp_path}/docs", "law=s3://bucket/law"],
        "store": f"{tmp_path}/store",
        "embedder": "hashing",
        "golden_questions": f"{tmp_path}/golden.yaml",
        "parse_timeout_s": 30.0,
    }
    assert NightSettings.model_validate(told).parse_timeout_s == 30


def test_no_key_and_no_address_is_in_what_prefect_shows():
    plan = plan_deployment(
        settings(embed_api_key=SECRET, mistral_api_key=SECRET, notify_webhook=f"http://x/{SECRET}"),
        DeployOptions(file=FILE),
    )
    assert SECRET not in repr(plan.deployments) + repr(plan.automations) + repr(plan.pool)
    assert plan.blocks == {"webhook/nightpress-webhook": f"http://x/{SECRET}"}
    form = NightSettings.model_json_schema()["properties"]
    assert not {"embed_api_key", "mistral_api_key"} & form.keys()
    assert {"embed_key_block", "embed_key_file", "source", "budget"} <= form.keys()
    assert all("description" in field for field in form.values())


def test_a_channel_without_an_address_has_no_automation():
    names = {
        each["name"] for each in plan_deployment(settings(), DeployOptions(file=FILE)).automations
    }
    assert names == {"nightpress-unresponsive", "nightpress-too-long"}
    told = settings(
        notify_slack="https://hooks.slack.com/services/A/B/C",
        notify_email="mailtos://user:word@smtp.example",
    )
    plan = plan_deployment(told, DeployOptions(file=FILE))
    assert {each["name"] for each in plan.automations} - names == {
        "nightpress-slack-ended-early", "nightpress-slack-late",
        "nightpress-email-ended-early", "nightpress-email-late",
    }  # fmt: skip


def test_a_mail_is_plain_text_unless_its_address_says_otherwise():
    post = "mailtos://user:word@smtp.example"
    to = f"{post}?to=ops@press.example"
    for told, kept in {
        post: f"{post}?format=text",
        to: f"{to}&format=text",
        f"{to}&format=html": f"{to}&format=html",
        "json://127.0.0.1/told": "json://127.0.0.1/told",
    }.items():
        plan = plan_deployment(settings(notify_email=told), DeployOptions(file=FILE))
        assert plan.blocks == {"slack-webhook/nightpress-email": kept}


@pytest.mark.parametrize("channel", ["notify_email", "notify_slack"])
def test_an_address_that_leads_nowhere_is_refused_without_being_shown(
    channel: str, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(UsageError, match=f"{channel} is no address .* it looks like") as refused:
        plan_deployment(settings(**{channel: f"mailtos://{SECRET}@"}), DeployOptions(file=FILE))
    assert SECRET not in str(refused.value) + caplog.text


def test_one_writer_at_a_time_and_the_next_one_waits():
    plan = plan_deployment(settings(), DeployOptions(file=FILE))
    assert plan.queue == "law"
    for deployment in plan.deployments:
        assert (deployment.name, deployment.limit, deployment.collision) == ("law", 1, "ENQUEUE")
        assert deployment.parameters["settings"]["collection"] == "law"
    (expiry,) = [each for each in plan.deployments if each.flow == "expire"]
    assert expiry.parameters["dry_run"] is False


def test_answers_are_evaluated_where_there_are_questions():
    without = plan_deployment(settings(), DeployOptions(file=FILE))
    asked = plan_deployment(settings(golden_questions="/q.yaml"), DeployOptions(file=FILE))
    assert {each.flow for each in asked.deployments} == {"reindex", "compact", "expire", "evaluate"}
    assert {each.flow for each in without.deployments} == {"reindex", "compact", "expire"}


def test_no_schedule_is_made_of_runs_that_read_no_source():
    with pytest.raises(UsageError, match="stored_text"):
        plan_deployment(settings(stored_text=True), DeployOptions(file=FILE))


def test_flags_win_over_the_file():
    told = DeployOptions(
        file=FILE, cron="0 3 * * *", time_zone="Asia/Tokyo", pool="night", pool_kind="docker",
        image="registry.example/nightpress:2",
    )  # fmt: skip
    plan = plan_deployment(settings(), told)
    schedules = {each.flow: each.schedules for each in plan.deployments}
    assert schedules["reindex"] == (("0 3 * * *", "Asia/Tokyo"),)
    assert schedules["compact"] == (("0 7 * * 0", "Asia/Tokyo"),)
    assert (plan.pool.name, plan.pool.kind) == ("night", "docker")
    assert plan.deployments[0].job_variables["image"] == "registry.example/nightpress:2"


def test_the_night_begins_once_every_day_whatever_the_clocks_do():
    (night,) = plan_deployment(settings(), DeployOptions(file=FILE)).deployments[0].schedules
    assert night == ("30 4 * * *", "Europe/Paris")
    served = CronSchedule(cron=night[0], timezone=night[1])
    starts = [
        start.astimezone(PARIS)
        for start in served._get_dates_generator(n=400, start=datetime(2026, 1, 1, tzinfo=PARIS))
    ]
    assert {(start.hour, start.minute) for start in starts} == {(4, 30)}
    assert len({start.date() for start in starts}) == len(starts) == 400
    assert (starts[-1].date() - starts[0].date()).days == 399


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="name your copy with --file"):
        plan_deployment(settings(), DeployOptions(file=tmp_path / "prefect.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(UsageError, match="is not YAML"):
        plan_deployment(settings(), DeployOptions(file=broken))
    broken.write_text(yaml.safe_dump({"name": "nothing"}))
    with pytest.raises(UsageError, match="no list `deployments`"):
        plan_deployment(settings(), DeployOptions(file=broken))


def test_plain_values_are_laid_over_each_other():
    base = {"a": {"b": 1, "c": [{"name": "x", "n": 1}, 2]}, "d": 3}
    change = {"a": {"c": [{"n": 5}], "e": 6}}
    assert laid_over(base, change) == {
        "a": {"b": 1, "c": [{"name": "x", "n": 5}, 2], "e": 6},
        "d": 3,
    }


@pytest.mark.parametrize("kind", ["process", "docker", "kubernetes"])
def test_work_pools_take_what_their_files_say(kind: str):
    plan = plan_deployment(settings(), DeployOptions(file=FILE, pool_kind=kind))
    template = base_template(plan.pool)
    variables = template["variables"]["properties"]
    for name, value in plan.pool.job_variables.items():
        assert variables[name]["default"] == value
    if kind == "kubernetes":
        pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "{{ image }}", "what Prefect fills in is still there"
        assert container["envFrom"] == [{"secretRef": {"name": "nightpress", "optional": True}}]
        assert pod["securityContext"]["runAsNonRoot"] is True
    unknown = replace(plan.pool, job_variables={"colour": "green"})
    with pytest.raises(UsageError, match="has no variable 'colour'"):
        base_template(unknown)
