"""What `docker/` says is possible: files exist, commands parse, manifests fit their schemas.

Nothing is built or started here.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from catalog import settings
from catalog.cli.app import build_app

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(
    yaml.safe_load_all((ROOT / "docker" / "kubernetes.yaml").read_text(encoding="utf-8"))
)
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY")


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of every line, continued ones joined."""
    text = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def rest_of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def parses(words: list[str]) -> dict[str, Any]:
    """The parameters of a `catalog` command, as it would see them."""
    verb, *rest = [re.sub(r"\$\{\w+:-?\??([^}]*)\}", r"\1", word) for word in words]
    command = typer.main.get_command(build_app(verb)).commands[verb]
    return command.make_context(verb, rest).params


def named(kind: str) -> dict[str, Any]:
    (found,) = [it for it in KUBERNETES if it["kind"] == kind]
    return found


def pod() -> dict[str, Any]:
    return named("Deployment")["spec"]["template"]["spec"]


def test_every_file_that_is_copied_is_there_and_let_through() -> None:
    let = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert let[0] == "*"
    sources = [
        word.removeprefix("./")
        for rest in rest_of("COPY")
        if not rest.startswith("--from")
        for word in rest.split()[:-1]
    ]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let
    packed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {it.partition("/")[0] for it in packed} <= set(sources)


def test_the_image_has_extras_that_exist() -> None:
    (extras,) = [it for run in rest_of("RUN") for it in re.findall(r"\.whl\)\[([\w,]+)\]", run)]
    assert set(extras.split(",")) == {"cpu", "serve", "mlflow", "postgres"}
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


def test_the_image_runs_as_nobody_in_particular() -> None:
    uid = rest_of("USER")[-1].partition(":")[0]
    assert int(uid) == pod()["securityContext"]["runAsUser"] != 0
    words = [name for name, _ in instructions()]
    assert words.index("USER") > len(words) - 1 - words[::-1].index("RUN")


def images() -> Iterator[str]:
    yield from (rest.split()[0] for rest in rest_of("FROM"))
    yield from (service["image"] for service in COMPOSE["services"].values())
    yield from (it["image"] for it in pod()["containers"])


def test_every_image_is_pinned_and_ours_has_this_version() -> None:
    found = list(images())
    assert all(re.search(r":\d+\.\d+", image) for image in found), found
    ours = [image for image in found if "hep-model-catalog" in image]
    assert {image.rpartition(":")[2] for image in ours} == {PROJECT["project"]["version"]}


def test_every_command_parses_and_asks_for_tokens() -> None:
    told = [
        json.loads(rest_of("CMD")[-1]),
        COMPOSE["services"]["server"]["command"],
        pod()["containers"][0]["args"],
    ]
    assert json.loads(rest_of("ENTRYPOINT")[0]) == ["catalog"]
    for words in told:
        found = parses(words)
        assert found["host"] == "0.0.0.0"
        assert found["auth"] in (None, True)
        assert (found["port"], found["grpc_port"]) == (8000, 8001)


def test_the_commands_of_the_page_parse() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    lines = re.findall(r"run --rm server (.*)", page)
    assert lines
    for line in lines:
        parses(shlex.split(line.partition("  #")[0]))


def test_variables_of_ours_are_those_that_settings_reads() -> None:
    env = {it.partition("=")[0] for rest in rest_of("ENV") for it in rest.split()}
    env |= COMPOSE["services"]["server"]["environment"].keys() | named("ConfigMap")["data"].keys()
    ours = {name for name in env if name.startswith("CATALOG_")}
    assert {"CATALOG_HOME", "CATALOG_CACHE", "CATALOG_STORE", "CATALOG_INDEX"} <= ours
    for name in ours:
        assert re.search(rf"^{name}\b", settings.__doc__ or "", re.M), name


@pytest.mark.slow
def test_mlflow_is_told_only_what_it_knows() -> None:
    ask = [sys.executable, "-m", "mlflow", "server", "--help"]
    known = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()
    verb, *words = COMPOSE["services"]["mlflow"]["command"]
    assert verb == "server"
    assert {word.partition("=")[0] for word in words} <= {it.strip(",") for it in known}


def test_no_secret_has_a_default_and_none_is_written_down() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name
    for variable in pod()["containers"][0]["env"]:
        assert not SECRET.search(variable["name"]) or "secretKeyRef" in variable["valueFrom"]
    assert not any(SECRET.search(name) for name in named("ConfigMap")["data"])


def test_only_the_server_is_reached_from_outside_and_only_from_this_machine() -> None:
    for name, service in COMPOSE["services"].items():
        assert ("outside" in service["networks"]) == (name == "server")
        for port in service.get("ports", []):
            assert name == "server"
            assert port.startswith("127.0.0.1:")
    assert COMPOSE["networks"]["inside"]["internal"] is True


KEYS = {
    "image", "build", "restart", "read_only", "tmpfs", "cap_drop", "cap_add", "security_opt",
    "command", "entrypoint", "environment", "ports", "networks", "volumes", "depends_on",
    "healthcheck",
}  # fmt: skip


def test_the_compose_file_holds_together() -> None:
    assert {it for it in COMPOSE if not it.startswith("x-")} == {
        "name", "services", "networks", "volumes"
    }  # fmt: skip
    for service in COMPOSE["services"].values():
        assert service.keys() <= KEYS
        assert service["cap_drop"] == ["ALL"]
        assert set(service["networks"]) <= COMPOSE["networks"].keys()
        assert {it.partition(":")[0] for it in service["volumes"]} <= COMPOSE["volumes"].keys()
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in COMPOSE["services"][other]
    store = COMPOSE["services"]["server"]["environment"]["CATALOG_STORE"]
    mlflow = COMPOSE["services"]["mlflow"]["command"]
    assert store.removeprefix("mlflow+http://") in next(
        word for word in mlflow if word.startswith("--allowed-hosts")
    )


@pytest.mark.parametrize("document", KUBERNETES, ids=lambda it: it["kind"])
def test_manifests_fit_the_schemas_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.37", strict=True)


def test_a_misspelt_key_would_not_fit() -> None:
    document = json.loads(json.dumps(named("Service")))
    document["spec"]["port"] = document["spec"].pop("ports")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_what_manifests_refer_to_is_there() -> None:
    deployment, service = named("Deployment")["spec"], named("Service")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == service["selector"] == labels
    container = pod()["containers"][0]
    ports = {it["name"] for it in container["ports"]}
    assert {it["targetPort"] for it in service["ports"]} <= ports
    assert {it["name"] for it in container["volumeMounts"]} == {
        it["name"] for it in pod()["volumes"]
    }
    claim = next(it for it in pod()["volumes"] if "persistentVolumeClaim" in it)
    claimed = claim["persistentVolumeClaim"]["claimName"]
    assert claimed == named("PersistentVolumeClaim")["metadata"]["name"]
    assert container["envFrom"] == [
        {"configMapRef": {"name": named("ConfigMap")["metadata"]["name"]}}
    ]


def test_probes_ask_addresses_that_answer_without_a_token() -> None:
    from registry_server.auth.policy import need_outside

    container = pod()["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert need_outside(container[probe]["httpGet"]["path"]).role is None
    (check,) = rest_of("HEALTHCHECK")
    (path,) = re.findall(r"127\.0\.0\.1:8000(/[\w/]+)", check)
    assert need_outside(path).role is None
