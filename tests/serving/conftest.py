"""An application with small models, and images of several formats."""

import io
import logging
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

import medzoo
from tests.fuzz.dicom_files import dicom_file

pytest.importorskip("fastapi", reason="needs medzoo[serve]")
httpx = pytest.importorskip("httpx", reason="needs httpx")
testclient = pytest.importorskip("fastapi.testclient", reason="needs httpx")

XRAY, LESION = "simple_cnn.pneumoniamnist", "simple_cnn.dermamnist"
PREDICT = f"/v1/models/{XRAY}/predict"


def picture(seed=0, size=(60, 40), mode="RGB"):
    """A picture with some structure, different for each seed."""
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image=None, kind="PNG"):
    """The content of an image file."""
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind)
    return buffer.getvalue()


def expected(model, content, **options):
    """What `medzoo.predict` says, as the service writes it."""
    prediction = medzoo.predict(model, content, **options)
    return pytest.approx(prediction.probabilities, abs=1e-5), list(prediction.probabilities)


def said(prediction):
    """The probabilities of an answer, and the order of its labels."""
    pairs = {one["label"]: one["probability"] for one in prediction["probabilities"]}
    return pairs, list(pairs)


def patient_client(**options):
    """A client that gives slow machines time; each request has a connection of its own."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(timeout=60, limits=limits, **options)


@pytest.fixture(scope="session")
def models():
    """Loaded models by name."""
    names = (XRAY, LESION)
    return {name: medzoo.create_model(name, pretrained=True) for name in names}


@pytest.fixture(scope="session")
def app():
    """An application without a token."""
    from medzoo.serving import Limits, create_app

    limits = Limits(max_body=1 << 20, max_images=8, queue_size=16, read_timeout=2.0)
    return create_app([XRAY, LESION, f"both={LESION}+efficientnet.dermamnist"], limits=limits)


@pytest.fixture(scope="session")
def client(app):
    """A client of that application; what fails inside is an answer, as over a socket."""
    with testclient.TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def address(app):
    """Host and port of a real server of that application, in a thread of this process."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs medzoo[serve]")
    from medzoo.serving.connection import Connection

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def access_log(caplog):
    """The lines of the access log."""
    caplog.set_level(logging.INFO, "medzoo.access")
    return caplog


@pytest.fixture(scope="session")
def dicom():
    """The content of a DICOM file."""
    pytest.importorskip("pydicom", reason="needs medzoo[dicom]")
    return dicom_file(np.asarray(picture(3, mode="L")))
