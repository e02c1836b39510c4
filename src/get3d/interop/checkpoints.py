"""Reading of the checkpoints of the authors' release."""

from pathlib import Path

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from get3d.core import ModelError, read_torch_file
from get3d.models import check_weight_type, check_weight_values

# Before it, `weights_only=True` could corrupt memory (CVE-2026-24747).
_SAFE_TORCH = "2.10"
# Files of the release have some hundred megabytes; two copies are in memory while reading.
_MAX_BYTES = 4 << 30


def read_state_dicts(path: Path | str, *names: str) -> dict[str, dict[str, Tensor]]:
    """Read some state dicts of a checkpoint `{"G": ..., "G_ema": ..., "D": ...}`.

    Args:
        path: File written by `torch.save`.
        names: Names of the state dicts; others are ignored.

    Returns:
        The state dict of each name, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: If the file is truncated or damaged, of another kind, would execute code, or
            lacks a name; or if a tensor is not a dense floating-point one or not finite.
    """
    path = Path(path)
    _check_kind(path)
    _check_torch_version(path)
    content = read_torch_file(path)
    found = list(content) if isinstance(content, dict) else []
    if "format_version" in found:
        raise ModelError(
            f"{path} is a checkpoint of get3d train, which needs no import; name its run folder "
            "wherever a model is asked for"
        )
    for name in names:
        if name not in found:
            has = ", ".join(map(_label, found[:6])) or "no named values"
            raise ModelError(
                f"{path} is no checkpoint of the GET3D release: it has no {name}, only {has[:200]}"
            )
    state_dicts = {name: _check_tensors(path, name, content[name]) for name in names}
    tensors = [pair for state_dict in state_dicts.values() for pair in state_dict.items()]
    num_bytes = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors)
    # Strides of 0 make a tensor of any size of a few numbers: rejected before it is copied.
    if num_bytes > path.stat().st_size:
        raise ModelError(
            f"{path} claims tensors of {num_bytes} bytes, more than the file holds; refused"
        )
    for key, tensor in tensors:
        check_weight_values(f"{path}: {_label(key)}", tensor)
    return state_dicts


def _check_torch_version(path: Path) -> None:
    """Raise ModelError if this version of torch is unsafe for files from others."""
    if TorchVersion(torch.__version__) < _SAFE_TORCH:
        raise ModelError(
            f"{path} is not read with torch {torch.__version__}, where a harmful file can corrupt "
            f"memory (CVE-2026-24747): pip install 'torch>={_SAFE_TORCH}', or run get3d import "
            "elsewhere and copy the model folder, which every version reads"
        )


def _check_kind(path: Path) -> None:
    """Validate that a file exists and has a plausible size; raise ModelError."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a checkpoint file such as shapenet_car.pt")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give a checkpoint such as shapenet_car.pt")
    if path.stat().st_size > _MAX_BYTES:
        raise ModelError(f"{path} is larger than {_MAX_BYTES >> 30} GiB, no checkpoint of GET3D is")


def _check_tensors(path: Path, name: str, state_dict: object) -> dict[str, Tensor]:
    """Validate that a state dict has floating-point tensors by name; raise ModelError."""
    if not isinstance(state_dict, dict) or not state_dict:
        raise ModelError(f"{path}: {name} is no state dict of tensors but {type(state_dict)}")
    tensors = dict(dict.items(state_dict))  # a pickle can give it an attribute called items
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ModelError(f"{path}: {name} holds {_label(key)}, a {kind}, where a tensor is")
        check_weight_type(f"{path}: {_label(key)}", value)
    return tensors


def _label(key: object) -> str:
    """Shorten a dictionary's key, of any type, for a message."""
    return str(key)[:80] if isinstance(key, str | int | float) else f"a {type(key).__name__}"
