"""The hub, with a stand-in for its client; test_hub_client.py has the real one."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from get3d.interop.hub import HubName, fetch_file, fetch_folder, parse_hub_name, send_folder

CHAIRS = parse_hub_name("hf://maker/chairs@v2/small")


class TestNames:
    @pytest.mark.parametrize(
        ("text", "repo_id", "revision", "path"),
        [
            ("hf://maker/chairs", "maker/chairs", None, ""),
            ("maker/chairs", "maker/chairs", None, ""),
            ("hf://maker/chairs/a/b.pt", "maker/chairs", None, "a/b.pt"),
            ("hf://maker/chairs@v2/a/", "maker/chairs", "v2", "a"),
            ("hf://maker/chairs@refs%2Fpr%2F1", "maker/chairs", "refs/pr/1", ""),
            ("hf://Maker-1/chairs_v0.1", "Maker-1/chairs_v0.1", None, ""),
        ],
    )
    def test_parts(self, text: str, repo_id: str, revision: str | None, path: str) -> None:
        name = parse_hub_name(text)
        assert name == HubName(repo_id=repo_id, revision=revision, path=path)
        assert parse_hub_name(str(name)) == name

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "hf://",
            "hf://maker",
            "hf://maker/",
            "hf:///chairs",
            "hf://maker/chairs@",
            "hf://maker/chairs@/x",
            "hf://maker/chairs/../secrets",
            "hf://maker/chairs/a//b",
            "hf://../chairs",
            "hf://maker/two words",
            "hf://maker/chairs/./a",
            "hf://maker/st\u00fchle",
            "hf://maker/a\u0663b",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(ValueError, match="must be hf://owner/name"):
            parse_hub_name(text)


class Client(ModuleType):
    """A stand-in for huggingface_hub that records its calls, and raises errors on request."""

    def __init__(self) -> None:
        super().__init__("huggingface_hub")
        self.calls: list[tuple[str, dict[int | str, Any]]] = []
        self.error: Exception | None = None
        self.is_private = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **options: Any) -> Any:
            if self.error is not None:
                raise self.error
            self.calls.append((name, dict(enumerate(args)) | options))
            return {
                "HfApi": self,
                "model_info": SimpleNamespace(private=self.is_private),
                "upload_folder": SimpleNamespace(commit_url="https://hub/commit/1"),
            }.get(name, "/cache")

        return call


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    stand_in = Client()
    monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)
    return stand_in


def client_error(*names: str, text: str = "why", status: int | None = None) -> Exception:
    """An error of the client: what it is shows in its class and its bases alone."""
    kind: type[Exception] = OSError
    for name in reversed(names):
        kind = type(name, (kind,), {})
    error = kind(text)
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


def test_fetching_asks_for_what_is_needed(client: Client) -> None:
    assert fetch_folder(CHAIRS, ["config.yaml"]) == Path("/cache/small")
    assert fetch_file(parse_hub_name("hf://maker/chairs/a/car.pt")) == Path("/cache")
    assert client.calls == [
        (
            "snapshot_download",
            {
                "repo_id": "maker/chairs",
                "revision": "v2",
                "allow_patterns": ["small/config.yaml"],
            },
        ),
        (
            "hf_hub_download",
            {"repo_id": "maker/chairs", "revision": None, "filename": "a/car.pt"},
        ),
    ]


def test_folders_are_not_patterns(client: Client) -> None:
    fetch_folder(parse_hub_name("hf://maker/chairs/small [1] *"), ["config.yaml"])
    [(_, options)] = client.calls
    assert options["allow_patterns"] == ["small [[]1] [*]/config.yaml"]


def test_sending_makes_the_repository_and_the_branch(client: Client, tmp_path: Path) -> None:
    url = send_folder(CHAIRS, tmp_path, ["a", "b"], message="Chairs", is_private=False)
    assert url == "https://hub/commit/1"
    calls = dict(client.calls)
    assert calls["create_repo"] == {0: "maker/chairs", "private": False, "exist_ok": True}
    assert calls["create_branch"] == {0: "maker/chairs", "branch": "v2", "exist_ok": True}
    assert calls["upload_folder"] == {
        "repo_id": "maker/chairs",
        "folder_path": tmp_path,
        "path_in_repo": "small",
        "allow_patterns": ["a", "b"],
        "revision": "v2",
        "commit_message": "Chairs",
    }


def test_private_models_are_not_sent_to_public_repositories(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exists and is public, so nothing was sent"):
        send_folder(CHAIRS, tmp_path, ["a"], message="", is_private=True)
    assert "upload_folder" not in dict(client.calls)
    client.is_private = True
    send_folder(CHAIRS, tmp_path, ["a"], message="", is_private=True)
    assert "upload_folder" in dict(client.calls)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            client_error("OfflineModeIsEnabled"),
            r"set to offline; unset HF_HUB_OFFLINE \(the model is not in",
        ),
        (client_error("LocalEntryNotFoundError", "EntryNotFoundError"), "cannot be reached; check"),
        (client_error("RemoteEntryNotFoundError", "EntryNotFoundError"), "has no such file"),
        (client_error("GatedRepoError", "RepositoryNotFoundError"), "accept the terms .* log in"),
        (client_error("RepositoryNotFoundError"), "or it is private; check the name, or log in"),
        (client_error("RevisionNotFoundError"), "no such revision"),
        (client_error("LocalTokenNotFoundError"), "nobody is logged in; log in once with: hf auth"),
        (client_error("HfHubHTTPError", text="401\nNo", status=401), r"\(.*401 No\); log in once"),
        (
            client_error("HfHubHTTPError", text="500", status=500),
            "check the name and the connection",
        ),
        (ConnectionError("refused"), r"\(ConnectionError: refused\); check the name and the conn"),
        (RuntimeError("x" * 5000), r"RuntimeError: x{200}\)"),
    ],
)
def test_errors_of_the_client_are_one_line(
    client: Client, tmp_path: Path, error: Exception, text: str
) -> None:
    client.error = error
    for name, call in (
        (str(CHAIRS), lambda: fetch_folder(CHAIRS, ["a"])),
        (str(CHAIRS), lambda: fetch_file(CHAIRS)),
    ):
        with pytest.raises(OSError, match=text) as caught:
            call()
        assert str(caught.value).startswith(f"{name} cannot be fetched")
        assert "\n" not in str(caught.value)


def test_an_upload_without_a_connection(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in a cache is of no use to it."""
    monkeypatch.setattr(client, "HfApi", lambda **_: client, raising=False)
    client.error = client_error("OfflineModeIsEnabled")
    with pytest.raises(OSError, match=r"set to offline; unset HF_HUB_OFFLINE$"):
        send_folder(CHAIRS, tmp_path, ["a"], message="", is_private=False)


def test_a_refused_upload_is_one_line(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise client_error("HfHubHTTPError", text="403 Forbidden", status=403)

    monkeypatch.setattr(client, "upload_folder", fail, raising=False)
    with pytest.raises(OSError, match=r"does not take the model .*403 Forbidden\); log in once"):
        send_folder(CHAIRS, tmp_path, ["a"], message="", is_private=False)


def test_the_client_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (
        lambda: fetch_folder(CHAIRS, ["a"]),
        lambda: fetch_file(CHAIRS),
        lambda: send_folder(CHAIRS, tmp_path, ["a"], message="", is_private=False),
    ):
        with pytest.raises(ImportError, match="pip install huggingface_hub"):
            call()
