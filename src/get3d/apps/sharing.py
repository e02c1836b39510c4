"""Sending a model folder to the Hugging Face Hub."""

from dataclasses import dataclass
from pathlib import Path

from get3d.apps.model import UNKNOWN_LICENCE
from get3d.apps.model_card import licence_entries, read_head
from get3d.apps.model_folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, read_model
from get3d.apps.sources import is_checkpoint, model_folder
from get3d.interop.hub import HubName, parse_hub_name, send_folder

_FILES = (CARD_NAME, CONFIG_NAME, WEIGHTS_NAME)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What would be sent, and where.

    Attributes:
        target: Where to.
        folder: The model folder.
        num_bytes: Size of each file that is sent, by its name; others in the folder stay.
        licence: Of the weights, as the folder says.
        is_private: Whether only its owner may see it.
        message: Of the commit.
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
    """Check a model and say what sending it means; nothing is sent, no connection is needed.

    Args:
        source: A model folder or a run folder.
        target: `[hf://]owner/name[@branch][/folder]`.
        is_private: Let only its owner see it.
        message: Of the commit; empty for one that names the model.

    Raises:
        FileNotFoundError: If there is no model, or it has no card.
        ValueError: If the model cannot be loaded, its card has no front matter or names another
            licence, or the target is no name.
    """
    name = parse_hub_name(target)
    if is_checkpoint(source):
        raise ValueError(
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
    """Send a model in one commit; the repository is made if it is missing.

    Args:
        upload: From `plan_upload`.
        allow_unknown_licence: Send it though nobody may use it.

    Returns:
        The commit's address.

    Raises:
        ImportError: If huggingface_hub is not installed.
        ValueError: If the licence is unknown and should not be, or the repository is public and
            should not be.
        OSError: If nobody is logged in, or the hub refuses or cannot be reached.
    """
    if upload.licence == UNKNOWN_LICENCE and not allow_unknown_licence:
        raise ValueError(
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
    """Refuse a card whose head says something else than the model's config."""
    try:
        head = read_head(card.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{card}: {error}; save the model again for a card of ours") from error
    for key, value in licence_entries(licence).items():
        if str(head.get(key)).lower() != value:
            raise ValueError(
                f"{card} says {key}: {head.get(key)}, {CONFIG_NAME} means {key}: {value} "
                f"(licence: {licence}); make them agree"
            )
