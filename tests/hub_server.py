"""A small Hugging Face Hub on this machine: its HTTP API, repositories in memory, faults on demand.

It answers what the unmodified huggingface_hub client asks when it creates, publishes, lists and
downloads model repositories. Large files go the git-LFS way, from a "CDN" of another host name, so
`HF_HUB_DISABLE_XET=1` has to be set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub.constants
import pytest

from tests.hub_repository import GIT_ATTRIBUTES, File, Repository, card_errors, is_large

Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Fault:
    """What goes wrong with requests whose "METHOD path" matches a pattern.

    With a `body`, that is the whole answer. Headers replace those of the answer; None removes one.
    """

    pattern: str
    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    cut: bool = False
    drip: bool = False
    wrong: bool = False
    times: int | None = None


class RefusalError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str | None = None):
        self.status, self.message, self.code = status, message, code


class HubServer:
    """The Hub: start it with ``with HubServer() as hub``.

    Attributes:
        endpoint: For ``HF_ENDPOINT``.
        token: Of the owner of the namespace ``org``; `guest_token` may read public things only.
        requests: ("METHOD path", headers) of every request, in order.
    """

    token = "hf_owner"
    guest_token = "hf_guest"

    def __init__(self) -> None:
        self.users = {self.token: "org", self.guest_token: "guest"}
        self.repositories: dict[str, Repository] = {}
        self.storage: dict[str, bytes] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.faults: list[Fault] = []
        self.well = threading.Event()  # ends all waiting
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.cdn = f"http://localhost:{port}/cdn"
        # A short poll, or every test would wait half a second for the server to end.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def in_place_of_the_real_one(self, home: Path) -> Iterator[None]:
        """Let huggingface_hub, here and in new processes, use this Hub and an own cache."""
        template = self.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        settings = {
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "ENDPOINT": self.endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
        }
        with pytest.MonkeyPatch.context() as patch:
            # Read when huggingface_hub was imported, so setting the environment comes too late.
            for name, value in settings.items():
                patch.setattr(huggingface_hub.constants, name, value)
            # For processes that a test starts.
            patch.setenv("HF_ENDPOINT", self.endpoint)
            patch.setenv("HF_HUB_CACHE", str(home / "hub"))
            patch.setenv("HF_HUB_DISABLE_XET", "1")
            for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
                patch.delenv(name, raising=False)
            patch.setenv("NO_PROXY", "127.0.0.1,localhost")
            yield

    def add(self, repo_id: str, files: Mapping[str, bytes], private: bool = False) -> str:
        """Put files into a repository, made if need be, behind the client's back; the commit."""
        repository = self.repositories.setdefault(repo_id, Repository(private))
        old = repository.commits[repository.refs["main"]] if repository.commits else {}
        return repository.commit(dict(old) | {p: self._file(p, c) for p, c in files.items()})

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Return the files at a revision, except git's own."""
        repository = self.repositories[repo_id]
        found = repository.commits[repository.find(revision) or revision]
        return {path: f.content for path, f in found.items() if path != ".gitattributes"}

    def fail(self, pattern: str, **what: Any) -> Fault:
        """Make requests whose "METHOD path" matches a regular expression go wrong; see `Fault`.

        `times` is how often; then all is well again. `heal` takes all faults away.
        """
        self.well.clear()
        self.faults.append(Fault(pattern, **what))
        return self.faults[-1]

    def heal(self) -> None:
        self.faults.clear()
        self.well.set()

    def asked(self, pattern: str) -> int:
        """Return how many requests matched a regular expression."""
        return sum(bool(re.search(pattern, line)) for line, _ in self.requests)

    def fault_of(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times != 0 and re.search(fault.pattern, line):
                fault.times = fault.times and fault.times - 1
                return fault
        return None

    def _file(self, path: str, content: bytes) -> File:
        if not is_large(path, content):
            return File(content)
        oid = hashlib.sha256(content).hexdigest()
        self.storage[oid] = content
        return File(content, oid)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that give up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # each answer would wait for 40 ms

    def log_message(self, *args: object) -> None:
        pass

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b"".join(self._chunks())
        line = f"{self.command} {unquote(self.path)}"
        self.hub.requests.append((line, {k.lower(): v for k, v in self.headers.items()}))
        fault = self.hub.fault_of(line) or Fault("")
        self.hub.well.wait(fault.delay)
        try:
            if fault.body is not None:
                status, headers, content = fault.status or 200, {}, fault.body
            elif fault.status:
                raise RefusalError(fault.status, "made to fail")
            else:
                status, headers, content = self._route(urlsplit(self.path), body)
        except RefusalError as error:
            named = {"X-Error-Code": error.code} if error.code else {}
            headers = {"X-Error-Message": error.message, **named}
            status, content = error.status, json.dumps({"error": error.message}).encode()
        self._send(status, headers, content, fault)

    do_GET = do_HEAD = do_POST = do_PUT = _respond  # noqa: N815

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, status: int, headers: Mapping[str, str], content: bytes, fault: Fault) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {k: v for k, v in {**headers, **fault.headers}.items() if v is not None}
        if fault.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if wanted and status == 200:
            start, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
            status, content = 206, content[start : last + 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault.drip:
            while content and not self.hub.well.wait(0.05):
                self.wfile.write(content[:1])
                content = content[1:]
        self.wfile.write(content[: len(content) // 2] if fault.cut else content)
        self.close_connection = self.close_connection or fault.cut or fault.drip

    def _route(self, url: Any, body: bytes) -> Reply:
        path = unquote(url.path)
        for method, pattern, answer in ROUTES:
            if (match := re.fullmatch(pattern, path)) and self.command in method:
                return answer(self, *match.groups(), query=parse_qs(url.query), body=body)
        raise RefusalError(404, f"this Hub knows nothing of {self.command} {path}")

    def _user(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.users:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        return self.hub.users.get(token)

    def _repository(self, repo_id: str, write: bool = False) -> Repository:
        user = self._user()
        repository = self.hub.repositories.get(repo_id)
        owns = user == repo_id.partition("/")[0]
        if repository is None or (repository.private and not owns):
            raise RefusalError(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not owns:
            raise RefusalError(403 if user else 401, "You don't have the rights to do this")
        return repository

    def _commit(self, repo_id: str, revision: str) -> tuple[str, dict[str, File]]:
        repository = self._repository(repo_id)
        oid = repository.find(revision)
        if oid is None:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid, repository.commits[oid]

    def create(self, query: Any, body: bytes) -> Reply:
        asked, user = json.loads(body), self._user()
        owner = asked.get("organization") or user
        if user is None or owner != user:
            raise RefusalError(403 if user else 401, "You don't have the rights to create this")
        repo_id = f"{owner}/{asked['name']}"
        url = {"url": f"{self.hub.endpoint}/{repo_id}"}
        if repo_id in self.hub.repositories:
            return _json(url, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.add(repo_id, {".gitattributes": GIT_ATTRIBUTES}, bool(private))
        return _json(url)

    def validate(self, query: Any, body: bytes) -> Reply:
        errors = list(card_errors(json.loads(body)["content"]))
        found = {"errors": [{"message": error} for error in errors], "warnings": []}
        return _json(found, 400 if errors else 200)

    def preupload(self, repo_id: str, revision: str, query: Any, body: bytes) -> Reply:
        self._repository(repo_id, write=True)
        _, files = self._commit(repo_id, revision)
        answers = []
        for asked in json.loads(body)["files"]:
            large = is_large(asked["path"], base64.b64decode(asked["sample"]))
            answer = {"path": asked["path"], "uploadMode": "lfs" if large else "regular"}
            old = files.get(asked["path"])
            answers.append(answer | {"shouldIgnore": False, "oid": old.etag if old else None})
        return _json({"files": answers})

    def lfs_batch(self, repo_id: str, query: Any, body: bytes) -> Reply:
        self._repository(repo_id, write=True)
        objects = json.loads(body)["objects"]
        for item in objects:
            if item["oid"] not in self.hub.storage:
                item["actions"] = {"upload": {"href": f"{self.hub.cdn}/{item['oid']}"}}
        return _json({"transfer": "basic", "objects": objects})

    def store(self, oid: str, query: Any, body: bytes) -> Reply:
        if hashlib.sha256(body).hexdigest() != oid:
            raise RefusalError(400, "the content does not match its sha256")
        self.hub.storage[oid] = body
        return 200, {}, b""

    def commit(self, repo_id: str, branch: str, query: Any, body: bytes) -> Reply:
        repository = self._repository(repo_id, write=True)
        parent, old = self._commit(repo_id, branch)
        files = dict(old)
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header" and value.get("parentCommit", parent) != parent:
                raise RefusalError(
                    412, "A commit has happened since. Please refresh and try again."
                )
            if item["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]))
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.hub.storage:
                    raise RefusalError(400, f"{value['path']} was not uploaded")
                files[value["path"]] = File(self.hub.storage[value["oid"]], value["oid"])
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files, branch)
        url = f"{self.hub.endpoint}/{repo_id}/commit/{oid}"
        return _json({"success": True, "commitOid": oid, "commitUrl": url})

    def branch(self, repo_id: str, name: str, query: Any, body: bytes) -> Reply:
        repository = self._repository(repo_id, write=True)
        if name in repository.refs:
            raise RefusalError(409, f"Reference already exists: {name}")
        start = json.loads(body or b"{}").get("startingPoint", "main")
        repository.refs[name] = self._commit(repo_id, start)[0]
        return _json({})

    def info(self, repo_id: str, revision: str | None, query: Any, body: bytes) -> Reply:
        oid, files = self._commit(repo_id, revision or "main")
        siblings = []
        for path, file in files.items():
            entry: dict[str, Any] = {"rfilename": path}
            if "blobs" in query:
                entry |= {"size": len(file.content), "blobId": file.blob}
                if file.lfs:
                    size, pointer = len(file.content), len(file.pointer)
                    entry["lfs"] = {"sha256": file.lfs, "size": size, "pointerSize": pointer}
            siblings.append(entry)
        private = self.hub.repositories[repo_id].private
        return _json({"id": repo_id, "sha": oid, "private": private, "siblings": siblings})

    def tree(self, repo_id: str, revision: str, query: Any, body: bytes) -> Reply:
        return _json([_entry(p, f) for p, f in self._commit(repo_id, revision)[1].items()])

    def paths_info(self, repo_id: str, revision: str, query: Any, body: bytes) -> Reply:
        _, files = self._commit(repo_id, revision)
        wanted = parse_qs(body.decode())["paths"]
        return _json([_entry(path, files[path]) for path in wanted if path in files])

    def resolve(self, repo_id: str, revision: str, path: str, query: Any, body: bytes) -> Reply:
        oid, files = self._commit(repo_id, revision)
        if path not in files:
            answer = json.dumps({"error": "Entry not found"}).encode()
            return 404, {"X-Repo-Commit": oid, "X-Error-Code": "EntryNotFound"}, answer
        file = files[path]
        headers = {"X-Repo-Commit": oid, "ETag": f'"{file.blob}"'}
        if file.lfs is None:
            return 200, headers, file.content
        linked = {"X-Linked-Etag": f'"{file.lfs}"', "X-Linked-Size": str(len(file.content))}
        return 302, headers | linked | {"Location": f"{self.hub.cdn}/{file.lfs}"}, b""

    def download(self, oid: str, query: Any, body: bytes) -> Reply:
        if "Authorization" in self.headers:  # Links to the real one are signed; it refuses both.
            raise RefusalError(400, "Only one auth mechanism allowed")
        return 200, {"ETag": f'"{oid}"'}, self.hub.storage[oid]


REPO = r"([^/]+/[^/]+)"
ROUTES: list[tuple[tuple[str, ...], str, Callable[..., Reply]]] = [
    (("POST",), r"/api/repos/create", _Handler.create),
    (("POST",), r"/api/validate-yaml", _Handler.validate),
    (("POST",), rf"/api/models/{REPO}/preupload/(.+)", _Handler.preupload),
    (("POST",), rf"/api/models/{REPO}/commit/(.+)", _Handler.commit),
    (("POST",), rf"/api/models/{REPO}/branch/(.+)", _Handler.branch),
    (("POST",), rf"/api/models/{REPO}/paths-info/(.+)", _Handler.paths_info),
    (("GET",), rf"/api/models/{REPO}(?:/revision/(.+))?", _Handler.info),
    (("GET",), rf"/api/models/{REPO}/tree/([^/]+)/?", _Handler.tree),
    (("POST",), rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (("GET", "HEAD"), rf"/{REPO}/resolve/([^/]+)/(.+)", _Handler.resolve),
    (("PUT",), r"/cdn/([0-9a-f]{64})", _Handler.store),
    (("GET", "HEAD"), r"/cdn/([0-9a-f]{64})", _Handler.download),
]


def _json(value: Any, status: int = 200) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _entry(path: str, file: File) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(file.content), "oid": file.blob}
    if file.lfs is None:
        return entry
    lfs = {"oid": file.lfs, "size": len(file.content), "pointerSize": len(file.pointer)}
    return entry | {"lfs": lfs}
