"""The files for deployment say what the program understands; they are read here, not run."""

import json
import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs medzoo[serve]")

from fastapi.testclient import TestClient

from medzoo.cli.main import create_parser
from medzoo.model_names import list_models
from medzoo.serving import create_app

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

FOLDER = Path(__file__).parents[2] / "examples" / "deploy"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
PORT = 8000
HEALTH = {"/v2/health/live", "/v2/health/ready"}


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def instruction(name):
    """An instruction of the Dockerfile that is a JSON list."""
    (found,) = re.findall(rf"^{name} (\[.*?\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(found)


def containers():
    deployment, _ = documents("kubernetes.yaml")
    (service,) = documents("kserve.yaml")
    return {
        "kubernetes": deployment["spec"]["template"]["spec"]["containers"][0],
        "kserve": service["spec"]["predictor"]["containers"][0],
    }


def commands():
    entry = instruction("ENTRYPOINT")
    given = {name: container["args"] for name, container in containers().items()}
    return {name: entry + args for name, args in given.items()} | {
        "docker": entry + instruction("CMD")
    }


@pytest.mark.parametrize("name", ["docker", "kubernetes", "kserve"])
def test_the_command_line_is_understood(name):
    program, *arguments = commands()[name]
    parser, _ = create_parser()
    parsed = parser.parse_args(arguments)
    assert (program, arguments[0]) == ("medzoo", "serve")
    assert (parsed.host, parsed.port) == ("0.0.0.0", PORT)
    assert set(parsed.model) <= set(list_models(pretrained=True))


def test_the_command_in_the_head_of_the_dockerfile_publishes_the_port_of_the_service():
    (run,) = re.findall(r"^# +(docker run .*)$", DOCKERFILE, re.MULTILINE)
    arguments = shlex.split(run)
    assert arguments[arguments.index("-p") + 1] == f"127.0.0.1:{PORT}:{PORT}"
    assert f"EXPOSE {PORT}\n" in DOCKERFILE


def test_the_addresses_that_are_probed_exist():
    probed = {
        container[probe]["httpGet"]["path"]
        for container in containers().values()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        if probe in container
    }
    (check,) = re.findall(rf"http://127.0.0.1:{PORT}(/[\w/]+)", DOCKERFILE)
    assert probed | {check} == HEALTH
    with TestClient(create_app(["simple_cnn.pneumoniamnist"], token="secret")) as client:
        assert [client.get(path).status_code for path in sorted(HEALTH)] == [200, 200]


def test_ports_and_labels_fit_together():
    deployment, service = documents("kubernetes.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    kubernetes, kserve = containers()["kubernetes"], containers()["kserve"]
    assert kubernetes["ports"] == [{"name": "http", "containerPort": PORT}]
    assert {port["targetPort"] for port in service["spec"]["ports"]} == {"http"}
    assert kserve["ports"] == [{"containerPort": PORT, "protocol": "TCP"}]
    assert kserve["readinessProbe"]["httpGet"]["port"] == PORT


@pytest.mark.parametrize("name", ["kubernetes", "kserve"])
def test_it_runs_as_an_ordinary_user_on_a_read_only_file_system(name):
    container = containers()[name]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert "USER 10001\n" in DOCKERFILE


def test_what_is_copied_into_the_image_exists():
    copied = re.findall(r"^COPY (.*) /src\S*$", DOCKERFILE, re.MULTILINE)
    names = " ".join(copied).split()
    assert names
    assert all((FOLDER.parents[1] / name).exists() for name in names)


def test_the_readme_says_that_they_were_not_run():
    assert "not run by the project's checks" in (FOLDER / "README.md").read_text()
