"""Reading of files of `torch.save` without executing code.

Such a file is a zip archive of a pickle, which is a program that builds objects, and the numbers of
the tensors. Python's `zipfile` reads the archive, with limits of size and checks of checksums;
the result goes to `torch.load(weights_only=True)`, PyTorch's own interpreter of few instructions,
which calls only what PyTorch allows. Of that, state dicts need a handful of names; files with other
names are rejected first, since those can build objects that exhaust the memory.
"""

import errno
import io
import pickle
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from get3d.core.errors import ModelError, is_out_of_memory

_PICKLE_BYTES = 1 << 22  # some hundred bytes a tensor are usual
_TUPLE_ITEMS = 1000  # with those of nested tuples; torch.save needs about ten
_HARMLESS = re.compile(
    r"collections\.OrderedDict|torch\.Size|torch\.\w+Storage"
    r"|torch\._utils\._rebuild_(tensor_v2|parameter)"
)
_LFS = b"version https://git-lfs"


def read_torch_file(path: Path, *, suggestion: str = "copy or download it again") -> Any:
    """Read a file of `torch.save` that holds tensors and plain values.

    Args:
        path: The file, as `torch.save` wrote it.
        suggestion: What to do about a damaged file, for messages.

    Returns:
        Its content, with tensors on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: If it is truncated or damaged (its checksums are compared), of another kind, or
            would execute code.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if head == _LFS:
        raise ModelError(f"{path} is a Git LFS pointer, not the file itself; run git lfs pull")
    if not zipfile.is_zipfile(path):
        if head.startswith(b"PK\x03\x04"):
            raise ModelError(f"{path} is cut short or damaged; {suggestion}")
        raise ModelError(
            f"{path} is no file of torch.save (a zip archive since PyTorch 1.6); other pickles are "
            "refused, because reading them runs code"
        )
    return _load(path, _copy_archive(path, suggestion), suggestion)


def _copy_archive(path: Path, suggestion: str) -> io.BytesIO:
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
        is_unread = isinstance(error, OSError) and error.errno != errno.EINVAL  # of a wild offset
        if is_unread or is_out_of_memory(error):
            raise  # the file may be sound
        raise _damaged(path, error, suggestion) from error
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


def _load(path: Path, archive: io.BytesIO, suggestion: str) -> Any:
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
        if is_out_of_memory(error):
            raise
        raise _damaged(path, error, suggestion) from error


def _damaged(path: Path, reason: Exception, suggestion: str) -> ModelError:
    """Make the error for a damaged file."""
    text = " ".join(str(reason).split())[:200]
    return ModelError(f"{path} is cut short or damaged ({text}); {suggestion}")
