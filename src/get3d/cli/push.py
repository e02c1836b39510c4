"""`get3d push`: upload a model folder to the Hugging Face Hub."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from get3d.apps import plan_upload, send
from get3d.apps.model import UNKNOWN_LICENCE
from get3d.cli.parsing import parse


@dataclass(frozen=True)
class PushArgs:
    """Upload a model folder to the Hugging Face Hub, from where `hf://owner/name` loads it.

    config.yaml, model.safetensors and the card README.md are sent in one commit; other files are
    not. Log in once with `hf auth login`; get3d itself handles no token.
    """

    model: tyro.conf.Positional[Path]
    """Model folder or run folder."""

    target: tyro.conf.Positional[str]
    """Repository: owner/name, owner/name@branch or owner/name/folder; made if it is missing."""

    private: bool = False
    """Make the repository private."""

    message: str = ""
    """Commit message; the model's name if left out."""

    allow_unknown_licence: bool = False
    """Upload a model whose licence is unknown, so that nobody may use it."""

    dry_run: bool = False
    """Check everything and print what would be sent; send nothing."""


def run(args: list[str]) -> int:
    """Run `get3d push`.

    Args:
        args: Command line after `get3d push`.

    Returns:
        Exit code 0.
    """
    parsed = parse(PushArgs, "push", args)
    upload = plan_upload(
        parsed.model, parsed.target, is_private=parsed.private, message=parsed.message
    )
    target = upload.target
    inside = f", folder {target.path}" if target.path else ""
    who = "private" if upload.is_private else "public"
    print(
        f"{upload.folder} -> {target.repo_id} ({who}), branch {target.revision or 'main'}{inside}"
    )
    for name, num_bytes in upload.num_bytes.items():
        print(f"  {name:<18} {num_bytes / 1e6:9.3f} MB")
    print(f"licence of the weights: {upload.licence}")
    if upload.licence == UNKNOWN_LICENCE:
        print(
            "note: nobody may use it then; name one in config.yaml (info: licence) and README.md "
            "(license), or --allow-unknown-licence sends it nevertheless"
        )
    if "non-commercial" in upload.licence:
        print("note: check that its terms let you share it at all")
    if parsed.dry_run:
        print("dry run: nothing was sent")
        return 0
    url = send(upload, allow_unknown_licence=parsed.allow_unknown_licence)
    print(f"sent: {url}. Next: get3d generate {target} --out shapes")
    return 0
