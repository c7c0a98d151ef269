"""Whatever goes wrong is said in a problem document, and harms nobody else."""

import asyncio
import json
import struct
import zlib

import pytest

from medzoo.serving import Limits, create_app
from tests.serving.conftest import LESION, PREDICT, XRAY, encoded, httpx, picture


def problem(response, status):
    """The problem document of a response."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert {"title", "detail"} <= document.keys()
    for leak in ("Traceback", "site-packages", ".py", "/home", "/tmp", "/root"):
        assert leak not in response.text
    return document


def png_header(width, height):
    """A PNG file that claims to be large."""
    data = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + data + struct.pack(">I", zlib.crc32(data))
    return encoded()[:8] + chunk + encoded()[33:]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not an image", "unknown format"),
        (encoded()[:100], "truncated"),
        (encoded(kind="JPEG")[:300], "Truncated"),
        (png_header(60_000, 60_000), "3600000000 pixels"),
        (png_header(9_000, 9_000), "9000 x 9000 pixels"),
    ],
)
def test_an_unreadable_image_is_named_with_the_reason(client, content, reason):
    files = [("images", ("good.png", encoded())), ("images", ("bad <b>.png", content))]
    document = problem(client.post(PREDICT, files=files), 422)
    assert document["file"] == "bad <b>.png"
    assert "bad <b>.png" in document["detail"]
    assert reason in document["detail"]


def test_a_name_cannot_control_a_terminal_and_is_not_repeated_endlessly(client):
    name = "\x1b[2J\u202e" + 2000 * "x"
    body = (
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="%s"\r\n\r\nnone\r\n--b--'
        % name.encode()
    )
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    document = problem(client.post(PREDICT, content=body, headers=kind), 422)
    assert document["file"].startswith(r"\x1b[2J\u202e")
    assert len(json.dumps(document)) < 1500


def test_an_unknown_model_is_answered_with_close_matches(client):
    document = problem(client.post("/v1/models/simple_cnn.pneumonia/predict", content=b"x"), 404)
    assert f"did you mean '{XRAY}'" in document["detail"]
    assert "error" not in document
    assert LESION in problem(client.get("/v1/models/zzz"), 404)["detail"]


def test_wrong_addresses_and_methods(client):
    assert "/docs" in problem(client.get("/nothing"), 404)["detail"]
    response = client.put("/v1/models")
    problem(response, 405)
    assert response.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("top_k=0", "query.top_k"),
        ("top_k=x", "query.top_k"),
        ("topk=1", "query.topk"),
        ("tta=spin", "'flip' or 'dihedral'"),
        ("threshold=2", "query.threshold"),
        ("explain=perhaps", "query.explain"),
        ("top_k=1&top_k=2", "more than once"),
    ],
)
def test_wrong_options_are_named(client, query, reason):
    response = client.post(f"{PREDICT}?{query}", content=encoded())
    assert reason in problem(response, 422)["detail"]


def test_a_threshold_for_one_of_many_classes_is_refused(client):
    response = client.post(f"/v1/models/{LESION}/predict?threshold=0.5", content=encoded())
    assert "most probable class" in problem(response, 422)["detail"]


def test_other_types_of_bodies_are_refused(client):
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        response = client.post(PREDICT, content=b"{}", headers={"Content-Type": kind})
        assert "multipart/form-data" in problem(response, 415)["detail"]
    response = client.post(PREDICT, content=b"x", headers={"Content-Encoding": "gzip"})
    assert "gzip" in problem(response, 415)["detail"]


def test_bodies_without_an_image(client):
    assert "empty" in problem(client.post(PREDICT), 422)["detail"]
    kind = "multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    for body in (b"", b"--b--\r\n", b"--c\r\n", part, part + encoded()):
        response = client.post(PREDICT, content=body, headers={"Content-Type": kind})
        problem(response, 422)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/x; a=b"):
        problem(client.post(PREDICT, content=b"--b", headers={"Content-Type": kind}), 422)


def test_fields_of_a_form_are_not_silently_ignored(client):
    response = client.post(PREDICT, files={"images": encoded()}, data={"top_k": "1"})
    assert "fields" in problem(response, 422)["detail"]


def test_too_many_images_are_refused(client):
    files = [("images", ("a.png", encoded(picture(0, (8, 8)))))] * 9
    assert (
        "Maximum number of files is 8" in problem(client.post(PREDICT, files=files), 422)["detail"]
    )


def test_too_large_a_body_is_refused_with_and_without_its_length(client):
    large = bytes(3 << 20)
    assert "1,048,576" in problem(client.post(PREDICT, content=large), 413)["detail"]
    chunks = (large[:65536] for _ in range(48))
    problem(client.post(PREDICT, content=chunks), 413)
    problem(client.post(PREDICT, files={"images": large}), 413)
    assert client.post(PREDICT, content=encoded()).status_code == 200


def test_charsets_that_decode_nothing_are_refused(client):
    part = (
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="+2AA-"\r\n\r\nx\r\n--b--'
    )
    for charset in ("undefined", "punycode", "idna", "utf-7", "zlib"):
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        problem(client.post(PREDICT, content=part, headers={"Content-Type": kind}), 422)


def test_a_failure_inside_leaks_nothing_and_is_observed(client, monkeypatch, access_log):
    from medzoo.serving.service import Service

    async def fail(*_):
        raise RuntimeError("/home/secret/path.py")

    monkeypatch.setattr(Service, "predict", fail)
    response = client.post(PREDICT, content=encoded())
    document = problem(response, 500)
    assert "secret" not in json.dumps(document)
    assert response.headers["X-Request-ID"] == json.loads(access_log.messages[-1])["id"]
    assert json.loads(access_log.messages[-1])["status"] == 500
    assert "/home/secret" in access_log.text  # in the log alone
    assert 'status="500"' in client.get("/metrics").text


def test_a_full_queue_refuses_what_comes_then_and_answers_what_it_has():
    app = create_app([XRAY], limits=Limits(max_images=2, queue_size=2))
    files = [("images", ("a.png", encoded()))] * 2

    async def ask_at_once():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            return await asyncio.gather(*(client.post(PREDICT, files=files) for _ in range(6)))

    responses = asyncio.run(ask_at_once())
    refused = [one for one in responses if one.status_code != 200]
    assert 0 < len(refused) < len(responses)
    for response in refused:
        assert "2 images are in progress" in problem(response, 503)["detail"]
        assert response.headers["Retry-After"] == "1"
