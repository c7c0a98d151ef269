"""A server that answers as `medzoo serve` does, but slowly, or not at all, when a test says so."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image, UnidentifiedImageError

from medzoo.web import page_files

CSP = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def description(name, classes, multi_label=False, measured=True):
    """What a model is, in the form of `GET /v1/models`."""
    return {
        "name": name,
        "architecture": "simple_cnn",
        "dataset": {"name": "made_up", "title": "Made-up images", "licence": "CC BY 4.0"},
        "task": "multi-label" if multi_label else "multi-class",
        "multi_label": multi_label,
        "classes": classes,
        "classes_are": None,
        "input": {"channels": 3, "size": 28, "mean": [0.5] * 3, "std": [0.5] * 3},
        "temperature": 0.7,
        "conformal": None,
        "parameters": 1_099_370,
        "licence": "CC BY 4.0",
        "weights_sha256": ["0" * 64],
        "trained_on": "Made-up images",
        "scores": {
            "split": "test",
            "images": 2005,
            "auc": {"value": 0.913, "interval": [0.898, 0.927]},
            "acc": {"value": 0.751, "interval": [0.732, 0.77]},
        }
        if measured
        else None,
        "notice": "For research and teaching; not for clinical use.",
    }


def heat_map() -> str:
    """A heat map as the server sends it: RGBA, in base64."""
    y, x = np.mgrid[-1:1:56j, -1:1:56j]
    heat = np.exp(-4 * ((x - 0.2) ** 2 + (y + 0.1) ** 2))
    pixels = np.stack([253 * heat, 231 * heat, 90 - 50 * heat, 255 * heat], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@dataclass
class StandIn:
    """The server.

    Attributes:
        models: Descriptions of its models.
        token: What requests have to bring; None if nothing.
        prefix: The path below which it is mounted.
        delay: Seconds that an answer takes, by the name of the model or of the file.
        held: Answers that wait until a test sets these, by the name of the model or of the file.
        refusals: How many requests are refused with 503 before one is answered.
        seen: The models and files of the requests for probabilities, in order.
    """

    models: list[dict]
    token: str | None = None
    prefix: str = ""
    delay: dict[str, float] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    refusals: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> StandIn:
        stand_in = self

        class Handler(_Handler):
            server_ = stand_in

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}{self.prefix}/"

    def hold(self, name: str) -> threading.Event:
        """Let answers wait, by the name of a model or of a file, until the event is set."""
        return self.held.setdefault(name, threading.Event())

    def predict(self, model: dict, explain: bool, name: str, content: bytes) -> tuple[int, dict]:
        """Return the status and the document for an image; the brighter, the later the class."""
        if not explain:
            self.seen.append((model["name"], name))
        for one in (model["name"], name):
            time.sleep(self.delay.get(one, 0))
            if one in self.held:
                self.held[one].wait(60)
        if self.refusals > 0:
            self.refusals -= 1
            return 503, {"title": "Busy", "detail": "the queue is full"}
        try:
            brightness = np.asarray(Image.open(io.BytesIO(content)).convert("L")).mean() / 255
        except UnidentifiedImageError:
            return 422, {"title": "Unreadable", "detail": f"{name!r} is not an image", "file": name}
        classes = model["classes"]
        distance = np.abs(np.linspace(0, 1, len(classes)) - brightness)
        scores = np.exp(-6 * distance)
        probabilities = scores if model["multi_label"] else scores / scores.sum()
        best = np.argsort(-probabilities, kind="stable")
        rows = [
            {"label": classes[i], "probability": round(float(probabilities[i]), 4)} for i in best
        ]
        label = rows[0]["label"]
        prediction = {"file": name, "label": label, "probabilities": rows}
        if explain and model["scores"] is None:
            return 422, {"title": "Refused", "detail": f"{model['name']} cannot be explained"}
        if explain:
            prediction["explanation"] = {"label": label, "method": "HiResCAM", "png": heat_map()}
        if sets := model["conformal"]:
            prediction["prediction_set"] = [row["label"] for row in rows[:2]]
            prediction["coverage"] = sets["coverage"]
        if model["multi_label"]:
            prediction["labels"] = [row["label"] for row in rows if row["probability"] >= 0.5]
        return 200, {"model": model["name"], "milliseconds": 4.1, "predictions": [prediction]}


class _Handler(BaseHTTPRequestHandler):
    server_: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self._path()
        if path == "v1/models":
            if self._allowed():
                self._send(200, {"models": self.server_.models, "medzoo": "0", "notice": ""})
            return
        content = page_files().get(path or "index.html")
        if content is None:
            self._send(404, {"title": "Not found"})
        else:
            kind = TYPES[(path or "index.html").rpartition(".")[2]]
            self._reply(200, content, kind)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = unquote(self._path().split("/")[2])
        model = next(one for one in self.server_.models if one["name"] == name)
        if self._allowed():
            explain = self.path.endswith("explain=true")
            self._send(*self.server_.predict(model, explain, *_part(body)))

    def _path(self) -> str:
        return urlsplit(self.path).path.removeprefix(self.server_.prefix).lstrip("/")

    def _allowed(self) -> bool:
        token = self.server_.token
        allowed = token is None or self.headers["Authorization"] == f"Bearer {token}"
        if not allowed:
            self._send(401, {"title": "Unauthorized", "detail": "a token is needed"})
        return allowed

    def _send(self, status: int, document: dict) -> None:
        kind = "application/json" if status == 200 else "application/problem+json"
        self._reply(status, json.dumps(document).encode(), kind)

    def _reply(self, status: int, content: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", CSP)
            if status == 503:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the page asked for something else meanwhile

    def log_message(self, *args: object) -> None:
        """Keep the output of the tests clean."""


def _part(body: bytes) -> tuple[str, bytes]:
    """The file's name and content of a multipart body with one part."""
    head, _, rest = body.partition(b"\r\n\r\n")
    boundary = head.split(b"\r\n")[0]
    name = re.search(rb'filename="([^"]*)"', head)[1].decode()
    return name.replace("%22", '"'), rest[: rest.rindex(b"\r\n" + boundary)]
