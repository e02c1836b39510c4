"""Files of `torch.save`, read without executing anything from them.

Such a file is a zip archive: a pickle, which is a small program that builds objects, and the raw
numbers of the tensors beside it. Two nets, either of which holds alone:

1. The pickle's instructions are listed before anything is loaded. What it may name is a handful of
   PyTorch's own constructors; anything else is refused by name.
2. It is then loaded with `weights_only=True`: PyTorch's own interpreter of those few instructions,
   which knows no other names.
"""

import pickle
import pickletools
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_PICKLE = "data.pkl"
_PICKLE_BYTES = 1 << 24  # some hundred bytes a tensor are usual; compressed, any size is possible
_HARMLESS = re.compile(
    r"collections\.OrderedDict|torch\.Size|torch\.\w+Storage"
    r"|torch\._utils\._rebuild_(tensor_v2|parameter)"
)
# They build or call an object that they do not name beside them; torch.save uses GLOBAL only.
_HIDING = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
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
    _refuse_code(path)
    content = _load(path)
    found = list(content) if isinstance(content, Mapping) else []
    if "format_version" in found:
        raise ValueError(
            f"{path} is a checkpoint of get3d train, which needs no import; name its run folder "
            "wherever a model is asked for"
        )
    for name in names:
        if name not in found:
            has = ", ".join(map(str, found[:6])) or "no named values"
            raise ValueError(
                f"{path} is no checkpoint of the GET3D release: it has no {name}, only {has[:200]}"
            )
    state_dicts = {name: _check_tensors(path, name, content[name]) for name in names}
    num_bytes = sum(
        tensor.numel() * tensor.element_size()
        for state_dict in state_dicts.values()
        for tensor in state_dict.values()
    )
    # A few numbers may pose as a tensor of any size: refused before someone copies it.
    if num_bytes > path.stat().st_size:
        raise ValueError(
            f"{path} claims tensors of {num_bytes} bytes, more than the file holds; refused"
        )
    for state_dict in state_dicts.values():
        for key, tensor in state_dict.items():
            if not tensor.isfinite().all():
                raise ValueError(f"{path}: {key} has values that are not finite; get another copy")
    return state_dicts


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


def _refuse_code(path: Path) -> None:
    """Say what a pickle would call that tensors do not need, and check every byte's checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            pickles = [info for info in archive.infolist() if Path(info.filename).name == _PICKLE]
            if any(info.file_size > _PICKLE_BYTES for info in pickles):
                raise _damaged(path, f"a {_PICKLE} far too large")
            programs = [archive.read(info) for info in pickles]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    except RuntimeError as error:  # a password
        raise ValueError(f"{path} is encrypted; torch.save writes no such files") from error
    if damaged is not None:
        raise _damaged(path, f"the checksum of {damaged} is wrong")
    if len(programs) != 1:
        raise ValueError(f"{path} is no file of torch.save: it has {len(programs)} {_PICKLE}")
    try:
        instructions = [(code.name, value) for code, value, _ in pickletools.genops(programs[0])]
    except Exception as error:  # pickletools raises whatever the bytes lead it to
        raise _damaged(path, error) from error
    for code, value in instructions:
        if code in _HIDING:
            raise _dangerous(path, f"the pickle instruction {code}")
        if code == "GLOBAL":
            name = str(value).replace(" ", ".")
            if not _HARMLESS.fullmatch(name):
                raise _dangerous(path, name)


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
        raise _damaged(path, error) from error


def _check_tensors(path: Path, name: str, state_dict: object) -> dict[str, Tensor]:
    """Refuse values that are no plain floating-point tensors."""
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise ValueError(f"{path}: {name} is no state dict of tensors but {type(state_dict)}")
    for key, value in state_dict.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ValueError(f"{path}: {name} holds {str(key)[:80]}, a {kind}, where a tensor is")
        if value.dtype not in _DTYPES or value.layout != torch.strided:
            raise ValueError(
                f"{path}: {key} has the type {value.dtype}, weights are floating-point numbers; "
                "this is no checkpoint of the GET3D release"
            )
    return dict(state_dict)


def _dangerous(path: Path, what: str) -> ValueError:
    return ValueError(
        f"{path} would run code when it is read: it names {what[:100]}, which tensors do not need; "
        "refused, nothing was run. Ask its author for a file with tensors only"
    )


def _damaged(path: Path, reason: Exception | str) -> ValueError:
    text = " ".join(str(reason).split())[:200]
    return ValueError(f"{path} is cut short or damaged ({text}); copy or download it again")
