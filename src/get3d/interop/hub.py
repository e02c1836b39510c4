"""The Hugging Face Hub: names of models, download and upload.

The client, huggingface_hub, is imported when it is needed. It caches downloads and keeps the login,
so no token passes through here.
"""

import glob
import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from get3d.core import ConfigError, MissingDependencyError
from get3d.version import __version__

HUB_PREFIX = "hf://"
_PART = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", re.ASCII)
_LOG_IN = "log in once with: hf auth login"
_ELSE_FETCH = " (the model is not in its cache), or download the folder elsewhere and name it"

# Messages by the names of the client's error classes; the first match is used.
_REASONS = {
    "OfflineModeIsEnabled": "the hub client is set to offline; unset HF_HUB_OFFLINE{else_fetch}",
    "LocalEntryNotFoundError": "the hub cannot be reached; check the connection{else_fetch}",
    "GatedRepoError": f"its owner asks for consent: accept the terms on its page, then {_LOG_IN}",
    "RepositoryNotFoundError": f"there is none, or it is private; check the name, or {_LOG_IN}",
    "RevisionNotFoundError": "the repository has no such revision; check what stands behind @",
    "EntryNotFoundError": "the repository has no such file; check its path",
    "LocalTokenNotFoundError": f"nobody is logged in; {_LOG_IN}",
}


@dataclass(frozen=True, kw_only=True)
class HubName:
    """The parts of `hf://owner/name[@revision][/path]`.

    Attributes:
        repo_id: Name of the repository, `owner/name`.
        revision: Branch, tag or commit; None for the main branch.
        path: Path of a file or folder inside, without slashes at its ends; may be empty.
    """

    repo_id: str
    revision: str | None = None
    path: str = ""

    def __str__(self) -> str:
        """Format the name."""
        revision = "" if self.revision is None else f"@{quote(self.revision, safe='')}"
        return "/".join(filter(None, [f"{HUB_PREFIX}{self.repo_id}{revision}", self.path]))


def parse_hub_name(text: str) -> HubName:
    """Parse a name; a slash within the revision is written %2F.

    Args:
        text: `hf://owner/name[@revision][/path]`.

    Raises:
        ConfigError: If it is not such a name.

    Example:
        >>> parse_hub_name("hf://maker/chairs@v2/small")
        HubName(repo_id='maker/chairs', revision='v2', path='small')
    """
    owner, _, rest = text.removeprefix(HUB_PREFIX).partition("/")
    name, _, path = rest.partition("/")
    name, at, revision = name.partition("@")
    path = path.strip("/")
    is_valid = all(_PART.fullmatch(part) for part in (owner, name)) and bool(revision) == bool(at)
    if not is_valid or {"", ".", ".."} & set(path.split("/") if path else ()):
        raise ConfigError(f"{text} must be {HUB_PREFIX}owner/name[@revision][/folder]")
    return HubName(repo_id=f"{owner}/{name}", revision=unquote(revision) or None, path=path)


def fetch_folder(name: HubName, files: Sequence[str]) -> Path:
    """Download a folder, or find it in the cache.

    Args:
        name: Name of the folder.
        files: Names of the files to download.

    Returns:
        Local path of the folder; files that the repository lacks are missing.

    Raises:
        MissingDependencyError: If huggingface_hub is not installed.
        OSError: If it is not in the cache and cannot be fetched.
    """
    prefix = f"{name.path}/" if name.path else ""
    client = _client()
    with _explained(f"{name} cannot be fetched", _ELSE_FETCH):
        folder = client.snapshot_download(
            repo_id=name.repo_id,
            revision=name.revision,
            allow_patterns=[glob.escape(prefix + file) for file in files],
        )
    return Path(folder) / name.path


def fetch_file(name: HubName) -> Path:
    """Download a file, or find it in the cache.

    Args:
        name: Name of the file.

    Returns:
        Local path of the file.

    Raises:
        MissingDependencyError: If huggingface_hub is not installed.
        OSError: If it is not in the cache and cannot be fetched.
    """
    client = _client()
    with _explained(f"{name} cannot be fetched", _ELSE_FETCH):
        path = client.hf_hub_download(
            repo_id=name.repo_id, revision=name.revision, filename=name.path
        )
    return Path(path)


def send_folder(
    name: HubName, folder: Path, files: Sequence[str], *, message: str, is_private: bool
) -> str:
    """Upload files of a folder to a repository, in one commit; it is created if missing.

    Args:
        name: Name of the target folder; its revision is a branch, created if missing.
        folder: Local folder of the files.
        files: Names of the files.
        message: Commit message.
        is_private: Require the repository to be private, and create it as such.

    Returns:
        URL of the commit.

    Raises:
        MissingDependencyError: If huggingface_hub is not installed.
        ConfigError: If the repository is public and must be private.
        OSError: If nobody is logged in, or the hub refuses or cannot be reached.
    """
    api = _client().HfApi(library_name="get3d", library_version=__version__)
    refusal = f"{HUB_PREFIX}{name.repo_id} does not take the model"
    with _explained(refusal):
        api.create_repo(name.repo_id, private=is_private, exist_ok=True)
        is_exposed = is_private and not api.model_info(name.repo_id).private
    if is_exposed:
        raise ConfigError(
            f"{name.repo_id} exists and is public, so nothing was sent; make it private on its "
            "page, or choose another name"
        )
    with _explained(refusal):
        if name.revision is not None:
            api.create_branch(name.repo_id, branch=name.revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name.repo_id,
            folder_path=folder,
            path_in_repo=name.path or None,
            allow_patterns=[glob.escape(file) for file in files],
            revision=name.revision,
            commit_message=message,
        )
    return str(commit.commit_url)


def _client() -> Any:
    """Import huggingface_hub; raise MissingDependencyError with a suggested fix."""
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise MissingDependencyError(
            f"{HUB_PREFIX} needs huggingface_hub: pip install huggingface_hub; or download the "
            "folder and name it"
        ) from error


@contextmanager
def _explained(what: str, else_fetch: str = "") -> Iterator[None]:
    """Convert errors of the client to OSErrors of one line with a suggested fix."""
    try:
        yield
    except Exception as error:  # the client's errors and its HTTP library's have no common root
        kinds = {kind.__name__ for kind in type(error).__mro__}
        for name, reason in _REASONS.items():
            if name in kinds:
                reason = reason.replace("{else_fetch}", else_fetch)
                raise OSError(f"{what}: {reason}") from error
        text = " ".join(str(error).split())[:200]
        status = getattr(getattr(error, "response", None), "status_code", None)
        suggestion = _LOG_IN if status in (401, 403) else "check the name and the connection"
        raise OSError(f"{what} ({type(error).__name__}: {text}); {suggestion}") from error
