"""Files of `torch.save`, read without executing anything from them.

Such a file is a zip archive: a pickle, which is a small program that builds objects, and the raw
numbers of the tensors beside it. Two nets, either of which holds alone:

1. The archive and the pickle's instructions are judged before anything is loaded (`archives`). What
   the pickle may name is a handful of PyTorch's own constructors; anything else is refused by name.
2. It is then loaded with `weights_only=True`: PyTorch's own interpreter of few instructions, which
   calls only what PyTorch allows.
"""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from get3d.interop.archives import check_archive, damaged
from get3d.models import check_weight_type, check_weight_values

# Before it, what `weights_only=True` reads could write where it must not (CVE-2026-24747).
_SAFE_TORCH = "2.10"
_LFS = b"version https://git-lfs"


def read_state_dicts(path: Path | str, *names: str) -> dict[str, dict[str, Tensor]]:
    """Read some state dicts of a checkpoint `{"G": ..., "G_ema": ..., "D": ...}`.

    The numbers stay in the file until they are used.

    Args:
        path: As `torch.save` wrote it.
        names: Of the state dicts; others are not looked at.

    Returns:
        Each name's tensors, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut short or damaged, is something else, would run code, or lacks
            a name; or if a tensor is no plain floating-point one or has values that are not finite.
    """
    path = Path(path)
    _refuse_other_files(path)
    _refuse_old_torch(path)
    record_bytes = check_archive(path)
    content = _load(path)
    found = list(content) if isinstance(content, dict) else []
    if "format_version" in found:
        raise ValueError(
            f"{path} is a checkpoint of get3d train, which needs no import; name its run folder "
            "wherever a model is asked for"
        )
    for name in names:
        if name not in found:
            has = ", ".join(map(_label, found[:6])) or "no named values"
            raise ValueError(
                f"{path} is no checkpoint of the GET3D release: it has no {name}, only {has[:200]}"
            )
    state_dicts = {name: _check_tensors(path, name, content[name]) for name in names}
    tensors = [pair for state_dict in state_dicts.values() for pair in state_dict.items()]
    num_bytes = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors)
    # A few numbers may pose as a tensor of any size: refused before someone copies it.
    if num_bytes > path.stat().st_size:
        raise ValueError(
            f"{path} claims tensors of {num_bytes} bytes, more than the file holds; refused"
        )
    for key, tensor in tensors:
        if tensor.untyped_storage().nbytes() not in record_bytes:
            raise damaged(path, f"{_label(key)} has another size than its entry in the archive")
        check_weight_values(f"{path}: {_label(key)}", tensor)
    return state_dicts


def _refuse_old_torch(path: Path) -> None:
    if TorchVersion(torch.__version__) < _SAFE_TORCH:
        raise ValueError(
            f"{path} is not read with torch {torch.__version__}, where a harmful file can corrupt "
            f"memory (CVE-2026-24747): pip install 'torch>={_SAFE_TORCH}', or run get3d import "
            "elsewhere and copy the model folder, which every version reads"
        )


def _refuse_other_files(path: Path) -> None:
    """Tell a zip archive from what people have by mistake."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a checkpoint file such as shapenet_car.pt")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give a checkpoint such as shapenet_car.pt")
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if head == _LFS:
        raise ValueError(f"{path} is a Git LFS pointer, not the file itself; run git lfs pull")
    if zipfile.is_zipfile(path):
        return
    if head.startswith(b"PK\x03\x04"):
        raise ValueError(f"{path} is cut short or damaged; copy or download it again")
    raise ValueError(
        f"{path} is no file of torch.save (a zip archive since PyTorch 1.6); other pickles are "
        "refused, because reading them runs code"
    )


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what matters is refused
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than plain tensors, which PyTorch refuses to read without running "
            "code; refused"
        ) from error
    except Exception as error:  # hostile bytes lead to any kind of it
        raise damaged(path, error) from error


def _check_tensors(path: Path, name: str, state_dict: object) -> dict[str, Tensor]:
    """Refuse values that are no plain floating-point tensors."""
    if not isinstance(state_dict, dict) or not state_dict:
        raise ValueError(f"{path}: {name} is no state dict of tensors but {type(state_dict)}")
    tensors = dict(dict.items(state_dict))  # a pickle can give it an attribute called items
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ValueError(f"{path}: {name} holds {_label(key)}, a {kind}, where a tensor is")
        check_weight_type(f"{path}: {_label(key)}", value)
    return tensors


def _label(key: object) -> str:
    """Name what a dictionary holds, in short: a key may be anything."""
    return str(key)[:80] if isinstance(key, str | int | float) else f"a {type(key).__name__}"
