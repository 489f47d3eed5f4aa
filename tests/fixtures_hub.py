"""A stand-in for the Hugging Face Hub: the part of its HTTP interface that an upload uses, on this machine.

It keeps repositories in memory and refuses what the hub would refuse: a wrong token, content that does not have the
size and hash that was announced, a commit of large files that were not uploaded, a card with broken metadata.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

TOKEN = "hf_" + "StandInToken" * 3
USER = "somebody"
LARGE = (".safetensors", ".parquet")  # kept as large files whatever their size, as the hub does by .gitattributes


@dataclass
class Repo:
    """A repository: its files, which of them are large, whether it is private, its commits' messages."""

    private: bool
    sdk: str | None = None
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.safetensors filter=lfs\n"})
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(self.commits).encode()).hexdigest()

    def card(self) -> dict:
        """Metadata of the README.md."""
        return yaml.safe_load(self.text("README.md").split("---\n")[1])

    def text(self, path: str) -> str:
        return self.files[path].decode()


@dataclass
class Hub:
    """What the stand-in holds, and what it was asked."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)  # "datasets/somebody/name"
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)  # "POST /api/repos/create"
    uploads: list[str] = field(default_factory=list)  # hashes of large files that were sent
    refuse_commits: bool = False

    def commits(self) -> int:
        return sum(len(repo.commits) for repo in self.repos.values())


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@contextmanager
def stand_in_hub() -> Iterator[Hub]:
    """A hub that answers on a free port of this machine, for the time of the block."""
    hub = Hub()
    with _served(type("Handler", (_Handler,), {"hub": hub})) as hub.url:
        yield hub


@contextmanager
def telltale_hub() -> Iterator[str]:
    """The address of a hub that refuses everything and tells in its answer which token it was given."""
    with _served(_Telltale) as url:
        yield url


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Telltale(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = json.dumps({"error": f"refused: {self.headers.get('Authorization')}"}).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *arguments) -> None:
        """Nothing is printed."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    lock = threading.Lock()

    def log_message(self, *arguments) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self) -> None:
        path, body = self.path.partition("?")[0], self._body()
        try:
            with self.lock:
                self.hub.requests.append(f"{self.command} {path}")
                status, content = 200, self._route(path, body)
        except RefusedError as refused:
            status, content = refused.status, {"error": str(refused)}
        if isinstance(content, tuple):
            status, content = content
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _route(self, path: str, body: bytes):
        if match := re.fullmatch(r"/storage/([0-9a-f]{64})", path):
            return self._store(match[1], body)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, "Invalid username or password.")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._validate(json.loads(body)["content"])
        if match := re.fullmatch(r"/((?:datasets/|spaces/)?)([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        match = re.fullmatch(r"/api/(models|datasets|spaces)/([^/]+/[^/]+)(?:/(\w+)/main)?", path)
        if not match:
            raise RefusedError(404, f"no such address: {path}")
        key = f"{match[1]}/{match[2]}"
        if key not in self.hub.repos:
            raise RefusedError(404, "Repository not found")
        repo = self.hub.repos[key]
        if match[3] == "tree":
            return [self._entry(repo, name) for name in sorted(repo.files)]
        if match[3] == "preupload":
            return {"files": [self._mode(repo, file) for file in json.loads(body)["files"]]}
        if match[3] == "commit":
            return self._commit(key, repo, [json.loads(line) for line in body.splitlines()])
        return {"id": match[2], "sha": repo.sha, "private": repo.private, "siblings": [], "tags": []}

    def _create(self, wanted: dict):
        owner, kind = wanted.get("organization") or USER, f"{wanted.get('type') or 'model'}s"
        key = f"{kind}/{owner}/{wanted['name']}"
        prefix = "" if kind == "models" else f"{kind}/"
        content = {"url": f"{self.hub.url}/{prefix}{owner}/{wanted['name']}"}
        if key in self.hub.repos:
            return 409, content | {"error": "You already created this repo"}
        self.hub.repos[key] = Repo(wanted["visibility"] == "private", wanted.get("sdk"))
        return content

    def _validate(self, text: str):
        try:
            parts = text.split("---\n")
            if parts[0] or not isinstance(yaml.safe_load(parts[1]), dict):
                raise ValueError("no metadata")
        except (ValueError, IndexError, yaml.YAMLError) as error:
            return 400, {"errors": [{"message": str(error)}], "warnings": [], "error": "Invalid metadata"}
        return {"errors": [], "warnings": []}

    def _blob(self, content: bytes) -> str:
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def _entry(self, repo: Repo, name: str) -> dict:
        content = repo.files[name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": self._blob(content)}
        if name in repo.large:
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
        return entry

    def _mode(self, repo: Repo, file: dict) -> dict:
        entry = self._entry(repo, file["path"]) if file["path"] in repo.files else {}
        mode = "lfs" if file["path"].endswith(LARGE) else "regular"
        oid = entry.get("lfs", entry).get("oid")
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _batch(self, wanted: dict) -> dict:
        objects = []
        for item in wanted["objects"]:
            have = item["oid"] in self.hub.blobs
            actions = {} if have else {"actions": {"upload": {"href": f"{self.hub.url}/storage/{item['oid']}"}}}
            objects.append(item | actions)
        return {"transfer": "basic", "objects": objects}

    def _store(self, oid: str, content: bytes) -> dict:
        if hashlib.sha256(content).hexdigest() != oid:
            raise RefusedError(400, f"the content is not that of {oid}")
        self.hub.blobs[oid] = content
        self.hub.uploads.append(oid)
        return {}

    def _commit(self, key: str, repo: Repo, lines: list[dict]) -> dict:
        if self.hub.refuse_commits:
            raise RefusedError(403, "You have no right to write here")
        header, *operations = lines
        for operation in operations:
            kind, value = operation["key"], operation["value"]
            if kind == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
                repo.large.discard(value["path"])
            elif kind == "lfsFile":
                content = self.hub.blobs.get(value["oid"])
                if content is None or len(content) != value["size"]:
                    raise RefusedError(400, f"{value['path']} was not uploaded")
                repo.files[value["path"]] = content
                repo.large.add(value["path"])
            elif kind == "deletedFile":
                del repo.files[value["path"]]
            else:
                raise RefusedError(400, f"unknown operation {kind}")
        repo.commits.append(header["value"]["summary"])
        kind, _, repo_id = key.partition("/")
        prefix = "" if kind == "models" else f"{kind}/"
        return {"commitUrl": f"{self.hub.url}/{prefix}{repo_id}/commit/{repo.sha}", "commitOid": repo.sha}
