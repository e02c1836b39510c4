"""Upload of a model folder to the Hugging Face Hub."""

from dataclasses import dataclass
from pathlib import Path

from get3d.apps.model import UNKNOWN_LICENCE
from get3d.apps.model_card import licence_entries, read_front_matter
from get3d.apps.model_folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, read_model
from get3d.apps.sources import is_checkpoint, model_folder
from get3d.core import ModelError
from get3d.interop.hub import HubName, parse_hub_name, send_folder

_FILES = (CARD_NAME, CONFIG_NAME, WEIGHTS_NAME)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A planned upload.

    Attributes:
        target: Repository, branch and folder on the hub.
        folder: The model folder.
        num_bytes: Size of each file that is sent, by its name; other files are not sent.
        licence: Licence of the weights.
        is_private: Whether the repository is private.
        message: Commit message.
    """

    target: HubName
    folder: Path
    num_bytes: dict[str, int]
    licence: str
    is_private: bool
    message: str


def plan_upload(
    source: Path | str, target: str, *, is_private: bool = False, message: str = ""
) -> Upload:
    """Check a model and plan its upload; nothing is sent, no connection is needed.

    Args:
        source: A model folder or a run folder.
        target: `[hf://]owner/name[@branch][/folder]`.
        is_private: Whether the repository is private.
        message: Commit message; empty for one that names the model.

    Raises:
        FileNotFoundError: If there is no model, or it has no card.
        ModelError: If the model cannot be loaded, or its card has no front matter or names another
            licence.
        ConfigError: If the target is no name of a repository.
    """
    name = parse_hub_name(target)
    if is_checkpoint(source):
        raise ModelError(
            f"{source} is a checkpoint; get3d import makes a model folder to send of it"
        )
    folder = model_folder(source)
    info = read_model(folder, source=str(source), device="cpu").info
    card = folder / CARD_NAME
    if not card.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {CARD_NAME}; the hub needs a card: save the model again"
        )
    _check_licence(card, info.licence)
    return Upload(
        target=name,
        folder=folder,
        num_bytes={file: (folder / file).stat().st_size for file in _FILES},
        licence=info.licence,
        is_private=is_private,
        message=message or f"{info.name}, a get3d model",
    )


def send(upload: Upload, *, allow_unknown_licence: bool = False) -> str:
    """Upload a model in one commit; the repository is made if it is missing.

    Args:
        upload: Plan, from `plan_upload`.
        allow_unknown_licence: Upload even if the licence is unknown, so that nobody may use it.

    Returns:
        URL of the commit.

    Raises:
        MissingDependencyError: If huggingface_hub is not installed.
        ModelError: If the licence is unknown and `allow_unknown_licence` is False.
        ConfigError: If the repository is public and should not be.
        OSError: If nobody is logged in, or the hub denies access or cannot be reached.
    """
    if upload.licence == UNKNOWN_LICENCE and not allow_unknown_licence:
        raise ModelError(
            f"{upload.folder} has no licence, so nobody may use it; write one into {CONFIG_NAME} "
            f"(info: licence: CC0-1.0) and the head of {CARD_NAME} (license: cc0-1.0), or send it "
            "as it is with --allow-unknown-licence"
        )
    return send_folder(
        upload.target,
        upload.folder,
        list(upload.num_bytes),
        message=upload.message,
        is_private=upload.is_private,
    )


def _check_licence(card: Path, licence: str) -> None:
    """Raise ModelError if the card's front matter has another licence than the model's config."""
    try:
        front_matter = read_front_matter(card.read_text(encoding="utf-8"))
    except (ModelError, UnicodeDecodeError) as error:
        raise ModelError(f"{card}: {error}; save the model again for a card of ours") from error
    for key, value in licence_entries(licence).items():
        if str(front_matter.get(key)).lower() != value:
            raise ModelError(
                f"{card} has {key}: {front_matter.get(key)}, {CONFIG_NAME} means {key}: {value} "
                f"(licence: {licence}); make them agree"
            )
