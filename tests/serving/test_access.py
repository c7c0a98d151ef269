"""Who may use the service, what is logged, counted and served to browsers."""

import json
import re

import pytest
from fastapi.testclient import TestClient

from medzoo.serving import create_app
from medzoo.web import page_files
from tests.serving.conftest import PREDICT, XRAY, encoded

TOKEN = "a secret"
PROTECTED = ["/v1/models", f"/v1/models/{XRAY}", "/metrics", "/v2", f"/v2/models/{XRAY}"]
OPEN = ["/", "/page.js", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"]


@pytest.fixture(scope="module")
def guarded(models):
    app = create_app({XRAY: models[XRAY]}, token=TOKEN, cors=["https://lab.example"])
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Bearer", "Bearer ", "Basic a secret", "Bearer a secret2"]
)
def test_without_the_token_there_is_no_answer(guarded, path, given):
    response = guarded.get(path, headers={"Authorization": given} if given else {})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/problem+json"


def test_an_odd_token_is_just_a_wrong_one(guarded):
    response = guarded.get("/v1/models", headers={b"Authorization": b"Bearer \xff\xc3"})
    assert response.status_code == 401


@pytest.mark.parametrize("path", PROTECTED)
def test_with_the_token_there_is(guarded, path):
    assert guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_images_are_not_received_without_the_token(guarded):
    for path in (PREDICT, f"/v2/models/{XRAY}/infer"):
        assert guarded.post(path, content=encoded()).status_code == 401


@pytest.mark.parametrize("path", OPEN)
def test_page_documentation_and_health_are_open(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("token", ["", " a", "a\n", "\u00e4", "a\0"])
def test_a_token_that_no_client_could_send_is_refused(token, models):
    with pytest.raises(ValueError, match="token"):
        create_app({XRAY: models[XRAY]}, token=token)


@pytest.mark.parametrize(
    "origin",
    [
        "https://lab.example/",
        "https://lab.example/page",
        "lab.example",
        "https://Lab.example",
        "https://lab.example:443",
        "https://*.lab.example",
        "null",
        "",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(models, origin):
    with pytest.raises(ValueError, match="matches no page"):
        create_app({XRAY: models[XRAY]}, cors=["https://[::1]:8443", "*", origin])


def test_other_origins_are_allowed_only_if_named(guarded, client):
    origin = {"Origin": "https://lab.example"}
    assert "access-control-allow-origin" not in client.get("/v1/models", headers=origin).headers
    allowed = guarded.get("/v2/health/live", headers=origin).headers
    assert allowed["access-control-allow-origin"] == "https://lab.example"
    other = guarded.get("/v2/health/live", headers={"Origin": "https://evil.example"}).headers
    assert "access-control-allow-origin" not in other
    asked = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    assert guarded.options(PREDICT, headers=asked).status_code == 200


def test_the_log_has_a_line_per_request_without_names(client, access_log):
    client.post(PREDICT, files={"images": ("Jane Doe.png", encoded())})
    client.post(PREDICT, files={"images": ("Jane Doe.png", b"broken")})
    client.get("/v1/models/Jane Doe")
    client.get("/Jane/Doe", params={"q": "Jane"})
    lines = [json.loads(record.message) for record in access_log.records]
    assert [line["status"] for line in lines] == [200, 422, 404, 404]
    assert lines[0]["route"] == "/v1/models/{name}/predict"
    assert lines[3]["route"] == "(unknown)"
    assert lines[0]["bytes"] > len(encoded())
    assert lines[0]["ms"] > 0
    assert lines[0].keys() == {"time", "method", "route", "status", "ms", "bytes", "id"}
    assert "Jane" not in access_log.text


def test_the_identifier_of_a_request_is_repeated_if_it_is_harmless(client, access_log):
    given = client.get("/v1/models", headers={"X-Request-ID": "a-1"})
    assert given.headers["X-Request-ID"] == "a-1"
    assert json.loads(access_log.records[-1].message)["id"] == "a-1"
    odd = client.get("/v1/models", headers={"X-Request-ID": 'a"b' + 99 * "x"})
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["X-Request-ID"])


def test_metrics_count_requests_batches_and_images(client):
    client.post(PREDICT, content=encoded())
    client.get("/made/up/address")
    text = client.get("/metrics").text
    route = '{method="POST",route="/v1/models/{name}/predict",status="200"}'
    assert f"medzoo_requests_total{route}" in text
    assert f'medzoo_predictions_total{{model="{XRAY}"}}' in text
    assert "medzoo_batch_images_bucket" in text
    assert "medzoo_request_seconds_bucket" in text
    assert "medzoo_images_in_progress 0.0" in text
    assert "made" not in text


def test_each_file_of_the_page_is_served_with_its_type(client):
    for name, content in page_files().items():
        response = client.get("/" if name == "index.html" else f"/{name}")
        assert response.content == content
        kind = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg"}
        assert response.headers["Content-Type"].startswith(kind[name.rpartition(".")[2]])
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-cache"
        again = client.get(response.url, headers={"If-None-Match": response.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.head(response.url).status_code == 200


def test_nothing_else_is_served(client):
    for path in ("/../app.py", "/%2e%2e/app.py", "/page/index.html", "/index.html/", "/.git"):
        assert client.get(path).status_code == 404


def test_the_documentation_lists_everything_and_loads_nothing(client):
    schema = client.get("/openapi.json").json()
    response = client.get("/docs")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "script-src" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=.?(https?:)?//", response.text)
    assert "<script" not in response.text
    for path, operations in schema["paths"].items():
        assert path in response.text
        for operation in operations.values():
            assert operation["description"]
            assert all(one["description"] for one in operation.get("parameters", ()))
    predict = schema["paths"]["/v1/models/{name}/predict"]["post"]
    assert predict["responses"]["200"]["content"]["application/json"]["example"]["predictions"]
    assert "HTTPValidationError" not in json.dumps(schema)
    assert "curl" in response.text
