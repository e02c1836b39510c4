"""Reading of checkpoint files of `torch.save` without executing code.

Such a file is a zip archive of a pickle, which is a program that builds objects, and the numbers of
the tensors. Python's `zipfile` reads the archive, with limits of size and checks of checksums;
the result goes to `torch.load(weights_only=True)`, PyTorch's own interpreter of few instructions,
which calls only what PyTorch allows. Of that, state dicts need a handful of names; files with other
names are rejected first, since those can build objects that exhaust the memory.
"""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from get3d.core import ModelError
from get3d.models import check_weight_type, check_weight_values

# Before it, `weights_only=True` could corrupt memory (CVE-2026-24747).
_SAFE_TORCH = "2.10"
# Files of the release have some hundred megabytes; two copies are in memory while reading.
_MAX_BYTES = 4 << 30
_PICKLE_BYTES = 1 << 22  # some hundred bytes a tensor are usual
_TUPLE_ITEMS = 1000  # with those of nested tuples; torch.save needs about ten
_HARMLESS = re.compile(
    r"collections\.OrderedDict|torch\.Size|torch\.\w+Storage"
    r"|torch\._utils\._rebuild_(tensor_v2|parameter)"
)
_LFS = b"version https://git-lfs"


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
    content = _load(path, _copy_archive(path))
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
    """Validate that a file is a zip archive of a plausible size; raise ModelError."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a checkpoint file such as shapenet_car.pt")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give a checkpoint such as shapenet_car.pt")
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if head == _LFS:
        raise ModelError(f"{path} is a Git LFS pointer, not the file itself; run git lfs pull")
    if path.stat().st_size > _MAX_BYTES:
        raise ModelError(f"{path} is larger than {_MAX_BYTES >> 30} GiB, no checkpoint of GET3D is")
    if zipfile.is_zipfile(path):
        return
    if head.startswith(b"PK\x03\x04"):
        raise ModelError(f"{path} is cut short or damaged; copy or download it again")
    raise ModelError(
        f"{path} is no file of torch.save (a zip archive since PyTorch 1.6); other pickles are "
        "refused, because reading them runs code"
    )


def _copy_archive(path: Path) -> io.BytesIO:
    """Copy the archive into memory, so that PyTorch reads exactly what is checked here.

    An archive can have two lists of entries, of which PyTorch may read the other one; and PyTorch
    decompresses entries of any size and compares no checksums. Raises ModelError.
    """
    copy, harm = io.BytesIO(), None
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as checked:
            infos = archive.infolist()
            num_bytes = sum(info.file_size for info in infos)
            is_compressed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
            is_bounded = num_bytes <= path.stat().st_size and not is_compressed
            for info in infos if is_bounded else ():
                content = archive.read(info)
                checked.writestr(info.filename, content)
                if info.filename.lower().endswith("/data.pkl"):
                    harm = harm or _find_harm(content)
    except Exception as error:  # hostile bytes raise errors of any class
        raise _damaged(path, error) from error
    if not any(info.filename.endswith("/data.pkl") for info in infos):
        raise ModelError(f"{path} is no file of torch.save: it has no data.pkl")
    if not is_bounded:
        raise ModelError(
            f"{path} was compressed, or its entries claim more than the file holds; get the file "
            "as torch.save wrote it"
        )
    if harm:
        raise ModelError(
            f"{path} {harm}, which tensors do not need; refused, nothing was run. Ask its author "
            "for a file with tensors only"
        )
    copy.seek(0)
    return copy


def _find_harm(program: bytes) -> str | None:
    """Find what PyTorch would allow in a pickle, but state dicts do not need; None if nothing.

    The stack is tracked only for the sizes of tuples: nested and repeated, a few bytes make tuples
    of any size, all of whose items are hashed as a dictionary's key.
    """
    if len(program) > _PICKLE_BYTES:
        return f"has a data.pkl of more than {_PICKLE_BYTES >> 20} MiB"
    sizes, marks, memo = list[int](), list[int](), dict[object, int]()
    for code, value, _ in pickletools.genops(program):
        if code.name == "GLOBAL" and not _HARMLESS.fullmatch(name := str(value).replace(" ", ".")):
            return f"would run code when it is read: it names {name[:100]}"
        if code.name == "MEMOIZE":  # of protocol 4, which PyTorch rejects
            return None
        if code.name == "MARK":
            marks.append(len(sizes))
        elif code.name in ("BINPUT", "LONG_BINPUT"):
            memo[value] = sizes[-1]
        elif code.name in ("BINGET", "LONG_BINGET"):
            sizes.append(memo[value])
        else:
            taken = code.stack_before
            if pickletools.markobject in taken:
                start = marks.pop() - taken.index(pickletools.markobject)
            else:
                start = len(sizes) - len(taken)
            size = 1 + sum(sizes[max(start, 0) :]) * code.name.startswith("TUPLE")
            sizes[max(start, 0) :] = [size] * len(code.stack_after)
            if size > _TUPLE_ITEMS:
                return f"holds a tuple of more than {_TUPLE_ITEMS} items"
    return None


def _load(path: Path, archive: io.BytesIO) -> Any:
    """Load a checked archive by PyTorch; raise ModelError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols
            return torch.load(archive, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than plain tensors, which PyTorch does not read without running "
            "code; refused, nothing was run. Save it again with torch.save as it is "
            "(pickle_protocol 2)"
        ) from error
    except Exception as error:  # hostile bytes raise errors of any class
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: Exception | str) -> ModelError:
    """Make the error for a damaged file."""
    text = " ".join(str(reason).split())[:200]
    return ModelError(f"{path} is cut short or damaged ({text}); copy or download it again")


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
