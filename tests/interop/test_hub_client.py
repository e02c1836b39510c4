"""The hub's own client against a fake hub; skipped where huggingface_hub is not installed."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)


class Hub(ThreadingHTTPServer):
    """The few answers of the Hugging Face Hub that the client needs for one repository."""

    daemon_threads = True
    commit = "a" * 40

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = {"config.yaml": b"format: 1\n", "notes.txt": b"mine"}
        self.received: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        found: Any = None
        if path == "/api/repos/create":
            found = {"url": f"{self.url}/maker/chairs"}
        elif path == "/api/validate-yaml":
            found = {"errors": [], "warnings": []}
        elif path.startswith("/api/models/maker/chairs/tree/"):
            found = [
                {"type": "file", "path": name, "size": len(data), "oid": _digest(data)}
                for name, data in self.files.items()
            ]
        elif path.startswith("/api/models/maker/chairs/preupload/"):
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            found = {"files": [{"path": f["path"]} | modes for f in json.loads(body)["files"]]}
        elif path.startswith("/api/models/maker/chairs/commit/"):
            for value in (json.loads(line)["value"] for line in body.splitlines()):
                if "path" in value:
                    self.received[value["path"]] = base64.b64decode(value["content"])
            found = {"commitOid": self.commit, "commitUrl": f"{self.url}/maker/chairs/commit/1"}
        elif path.startswith("/api/models/maker/chairs"):
            names = [{"rfilename": name} for name in self.files]
            found = {"id": "maker/chairs", "sha": self.commit, "siblings": names, "private": False}
        elif path.startswith("/maker/chairs/resolve/"):
            data = self.files.get(path.split("/", 5)[5])
            if data is not None:
                return 200, data, {"ETag": f'"{_digest(data)}"', "X-Repo-Commit": self.commit}
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        if found is None:
            return 404, b"{}", {"X-Error-Code": "RepoNotFound"}
        return 200, json.dumps(found).encode(), {}


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.tokens.add(self.headers.get("Authorization"))
        status, content, headers = self.server.answer(self.path.split("?")[0], body)
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def _digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


class TestRealClient:
    @pytest.fixture
    def server(self) -> Iterator[Hub]:
        with Hub() as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server
            server.shutdown()

    def run(self, code: str, home: Path, url: str, **environment: str) -> str:
        """Run code in a process of its own: the client reads its settings when it is imported."""
        prelude = "from get3d.interop.hub import *\n"
        settings = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [sys.executable, "-c", prelude + code],
            env=os.environ | settings | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    @pytest.mark.slow
    def test_fetches_once_and_reads_the_cache_when_offline(
        self, server: Hub, tmp_path: Path
    ) -> None:
        code = """
folder = fetch_folder(parse_hub_name("hf://maker/chairs"), ["config.yaml"])
names = sorted(entry.name for entry in folder.iterdir())
print(names, fetch_file(parse_hub_name("hf://maker/chairs@main/notes.txt")).read_text())"""
        assert self.run(code, tmp_path, server.url) == "['config.yaml'] mine"
        nowhere = "http://127.0.0.1:9"
        offline = self.run(code, tmp_path, nowhere, HF_HUB_OFFLINE="1")
        assert offline.startswith("['config.yaml'")
        assert offline.endswith("] mine")
        assert "not in its cache" in self.run(
            code, tmp_path / "other", server.url, HF_HUB_OFFLINE="1"
        )

    @pytest.mark.slow
    def test_says_what_is_missing(self, server: Hub, tmp_path: Path) -> None:
        code = """
for fetch in (
    lambda: fetch_file(parse_hub_name("hf://maker/chairs/no.pt")),
    lambda: fetch_folder(parse_hub_name("hf://maker/tables"), ["config.yaml"]),
):
    try:
        fetch()
    except OSError as error:
        print(type(error).__name__, error)"""
        file, folder = self.run(code, tmp_path, server.url).splitlines()
        assert file.startswith("OSError hf://maker/chairs/no.pt")
        assert "the repository has no such file" in file
        assert "there is none, or it is private" in folder

    @pytest.mark.slow
    def test_sends_the_named_files_with_the_client_s_login(
        self, server: Hub, tmp_path: Path
    ) -> None:
        model = tmp_path / "model"
        model.mkdir()
        for name in ("README.md", "config.yaml", "private.txt"):
            (model / name).write_text(name)
        code = f"""
name = parse_hub_name("maker/chairs@v2/small")
for is_private in (False, True):
    try:
        print(send_folder(name, Path({str(model)!r}), ["README.md", "config.yaml"], message="m",
                          is_private=is_private))
    except Exception as error:
        print(error)"""
        sent, refused = self.run(code, tmp_path, server.url, HF_TOKEN="hf_login").splitlines()
        assert sent == f"{server.url}/maker/chairs/commit/1"
        assert server.received == {
            "small/README.md": b"README.md",
            "small/config.yaml": b"config.yaml",
        }
        assert server.tokens == {"Bearer hf_login"}
        assert "exists and is public, so nothing was sent" in refused
