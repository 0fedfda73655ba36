"""Files for deployments, read by the tools that will read them: not only written."""

import json
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml
from prefect.settings import Settings

from flows.prefect_environment import prepare_prefect
from retriever.routes.gate import OPEN_PATHS

BIN = Path(sys.executable).parent
VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?][^}]*)?\}")
OPERATORS = ("monitoring.coreos.com/", "cert-manager.io/", "argoproj.io/")
"""Kinds of operators, whose schemas no package brings."""


@pytest.fixture(scope="module")
def files(root: Path) -> Path:
    return root / "deployments"


@pytest.fixture(scope="module")
def rendered(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What kubectl makes of the manifests."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    folder = tmp_path_factory.mktemp("kubernetes")
    made = {}
    for name in ("base", "example", "open-webui"):
        made[name] = folder / f"{name}.yaml"
        done = subprocess.run(
            ["kubectl", "kustomize", files / "kubernetes" / name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made[name].write_text(done.stdout)
    return made


def objects(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def pods(path: Path) -> dict[str, dict[str, Any]]:
    """Pod templates by the name of what makes them."""
    found = {}
    for each in objects(path):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[each["metadata"]["name"]] = spec["template"]["spec"]
    return found


@pytest.mark.parametrize("name", ["pipeline", "retriever"])
def test_images_are_built_without_root_from_what_is_there(root: Path, files: Path, name: str):
    path = files / "docker" / f"{name}.Dockerfile"
    done = subprocess.run([BIN / "hadolint", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = path.read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    assert text.count("--require-hashes") == text.count(" -r requirements/")
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        for copied in line.split()[:-1]:
            assert (root / copied).exists(), copied
    ignored = (files / "docker" / f"{name}.Dockerfile.dockerignore").read_text()
    assert ignored.startswith("*\n"), "nothing goes into an image that is not named"


def test_the_compose_file_says_what_the_specification_allows(files: Path):
    text = (files / "compose.yaml").read_text()
    example = (files / "compose.env.example").read_text()
    asked = {match[1] for match in re.finditer(r"\$\{(\w+):\?", text)}
    offered = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert asked <= offered, "compose.env.example names all that must be set"
    paths = {"DOCUMENTS", "S3_IDENTITIES"}
    read = yaml.safe_load(VARIABLE.sub(lambda m: "/srv" if m[1] in paths else "4g", text))
    compose_spec.PyCompose.from_json(json.dumps(read)).validate()
    services = read["services"]
    assert {"postgres", "prefect", "worker", "retriever", "s3", "open-webui"} <= services.keys()
    assert services["ollama"]["profiles"] == ["ollama"]
    published = [port for each in services.values() for port in each.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    for name in ("prefect", "worker", "retriever", "deploy"):
        assert services[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", ["base", "example", "open-webui"])
def test_manifests_fit_the_schemas_of_kubernetes(rendered: dict[str, Path], name: str):
    done = subprocess.run(
        [BIN / "kubernetes-validate", "--strict", rendered[name]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    unknown = [line for line in done.stdout.splitlines() if "find schema" in line]
    assert all(any(group in line for group in OPERATORS) for line in unknown), unknown


@pytest.mark.parametrize("name", ["base", "example", "open-webui"])
def test_pods_run_without_rights_and_with_bounds(rendered: dict[str, Path], name: str):
    found = pods(rendered[name])
    ours = {"postgres", "prefect", "worker", "retriever", "deploy"}
    assert found.keys() == ({"postgres"} if name == "open-webui" else ours)
    for pod in found.values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        named = {volume["name"] for volume in pod.get("volumes", ())} | {"data"}
        for container in pod["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= named
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"]


def test_a_night_that_is_a_pod_may_talk_to_what_a_worker_may(
    files: Path, rendered: dict[str, Path]
):
    pool = yaml.safe_load((files / "work_pools" / "kubernetes.yaml").read_text())
    night = pool["job_configuration"]["job_manifest"]["spec"]["template"]["metadata"]["labels"]
    made = objects(rendered["base"])
    policies = {each["metadata"]["name"]: each["spec"] for each in made if "Policy" in each["kind"]}
    (allowed,) = policies["worker"]["podSelector"]["matchExpressions"]
    assert night[allowed["key"]] in allowed["values"]
    (clients,) = policies["prefect"]["ingress"]
    assert {"podSelector": {"matchLabels": night}} in clients["from"]
    assert night.items().isdisjoint(
        label for pod in made if pod["kind"] == "Deployment"
        for label in pod["spec"]["selector"]["matchLabels"].items()
    ), "no Deployment takes it for a pod of its own"  # fmt: skip


def test_probes_ask_what_the_retriever_answers_without_a_key(
    files: Path, rendered: dict[str, Path]
):
    (container,) = pods(rendered["base"])["retriever"]["containers"]
    kinds = ("startupProbe", "readinessProbe", "livenessProbe")
    asked = {container[kind]["httpGet"]["path"] for kind in kinds}
    image = (files / "docker" / "retriever.Dockerfile").read_text()
    asked |= set(re.findall(r"127\.0\.0\.1:8080(/\w+)", image))
    monitors = yaml.safe_load_all(
        (files / "kubernetes/components/monitoring/service-monitor.yaml").read_text()
    )
    asked |= {each["path"] for each in next(monitors)["spec"]["endpoints"]}
    assert asked == {"/livez", "/readyz", "/metrics"} <= OPEN_PATHS


def test_a_store_in_s3_needs_no_volume_where_it_is_read(rendered: dict[str, Path]):
    base, example = (pods(rendered[name])["retriever"] for name in ("base", "example"))
    claims = [
        [v for v in pod["volumes"] if "persistentVolumeClaim" in v] for pod in (base, example)
    ]
    assert [len(found) for found in claims] == [1, 0]
    (settings,) = [each for each in objects(rendered["example"]) if each["kind"] == "ConfigMap"]
    assert settings["data"]["NIGHTPRESS_STORE"].startswith("s3://")


def test_what_is_secret_is_only_named(rendered: dict[str, Path]):
    for path in rendered.values():
        assert not [each for each in objects(path) if each["kind"] == "Secret"]


def secrets_named(value: object) -> set[tuple[str, str]]:
    """Every (Secret, key) below `secretKeyRef`; an empty key where a Secret is taken whole."""
    if isinstance(value, list):
        return set().union(*map(secrets_named, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(secrets_named, value.values()))
    for name in ("secretKeyRef", "secretRef"):
        named = value.get(name)
        if named and not named.get("optional"):
            found.add((named["name"], named.get("key", "")))
    return found


def test_every_secret_that_is_named_has_an_example(files: Path, rendered: dict[str, Path]):
    kubernetes = files / "kubernetes"
    examples = [*kubernetes.glob("*.example.yaml"), *kubernetes.glob("*/*.example.yaml")]
    offered = {
        (each["metadata"]["name"], key)
        for path in examples
        for each in objects(path)
        for key in ("", *each["stringData"])
    }
    values = yaml.safe_load((files / "argocd" / "open-webui-values.yaml").read_text())
    named = secrets_named([values, *(objects(path) for path in rendered.values())])
    named |= {("open-webui", values["openaiApiKeyExistingSecretKey"])}
    named |= {("open-webui", values["sso"]["oidc"][key]) for key in values["sso"]["oidc"]
              if key.endswith("SecretKey")}  # fmt: skip
    assert named <= offered, named - offered


def test_open_webui_is_told_what_its_chart_reads(files: Path):
    values = yaml.safe_load((files / "argocd" / "open-webui-values.yaml").read_text())
    assert values["ollama"]["ollama"].keys() == {"gpu", "models"}, "of the sub-chart"
    assert values["ollama"].keys().isdisjoint({"gpu", "models"})
    assert "postgresql" not in values
    assert values["sso"]["enableRoleManagement"] is True
    assert values["pipelines"] == {"enabled": False}
    assert "DATABASE_URL" in {each["name"] for each in values["extraEnvVars"]}
    assert "strategy" not in values, "the chart makes a StatefulSet, which knows no Recreate"
    names = ("nightpress.yaml", "open-webui.yaml")
    applications = [yaml.safe_load((files / "argocd" / name).read_text()) for name in names]
    for each in applications:
        assert each["kind"] == "Application"
        assert each["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
        sources = each["spec"].get("sources") or [each["spec"]["source"]]
        assert all("*" not in str(source["targetRevision"]) for source in sources)


def test_every_server_that_is_described_deletes_what_is_old(
    files: Path, monkeypatch: pytest.MonkeyPatch
):
    settings: dict[str, str] = {}
    prepare_prefect(settings)
    expected = {name: told for name, told in settings.items() if "_DB_VACUUM_" in name}
    for name, told in expected.items():
        monkeypatch.setenv(name, told)
    read = Settings().server.services.db_vacuum
    assert {"events", "flow_runs"} <= read.enabled_vacuum_types
    assert read.retention_period == timedelta(days=30)

    compose = yaml.safe_load((files / "compose.yaml").read_text())
    in_compose = compose["services"]["prefect"]["environment"]
    (container,) = pods(files / "kubernetes" / "base" / "prefect.yaml")["prefect"]["containers"]
    in_cluster = {each["name"]: each.get("value") for each in container["env"]}
    in_script = dict(re.findall(r"^ *export (\w+)=(\S+)", (files / "ui.sh").read_text(), re.M))
    for described in (in_compose, in_cluster, in_script):
        assert {name: described.get(name) for name in expected} == expected
