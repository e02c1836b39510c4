"""The archive and the pickle of a `torch.save` file, judged before anything is loaded.

What is judged has to be what PyTorch will read: so the archive must be one that all readers take in
the same way, and the pickle may hold only the instructions that describe tensors.
"""

import os
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

_PICKLE_BYTES = 1 << 22  # some hundred bytes a tensor are usual
_TUPLE_ITEMS = 1000  # with those of the tuples inside; torch.save needs some ten
_HARMLESS = re.compile(
    r"collections\.OrderedDict|torch\.Size|torch\.\w+Storage"
    r"|torch\._utils\._rebuild_(tensor_v2|parameter)"
)
# All that torch.save writes for state dicts, and for plain values beside them.
_INSTRUCTIONS = re.compile(
    "PROTO|STOP|MARK|GLOBAL|REDUCE|BUILD|BINPERSID|(LONG_)?BIN(PUT|GET)|EMPTY_(DICT|LIST|TUPLE)"
    "|TUPLE[123]?|SETITEMS?|APPENDS?|BINUNICODE|BININT[12]?|LONG1|BINFLOAT|NONE|NEW(TRUE|FALSE)"
)
# These build or call an object that they do not name beside them.
_HIDING = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    UnicodeDecodeError,
    EOFError,
    OSError,
    NotImplementedError,
)


def check_archive(path: Path) -> frozenset[int]:
    """Refuse an archive that torch.save would not write, and one whose pickle needs more than that.

    Args:
        path: Of a zip archive.

    Returns:
        Sizes of the entries that hold the numbers, in bytes.

    Raises:
        ValueError: If it is damaged, ambiguous or compressed, or its pickle would run code.
    """
    try:
        _check_end(path)
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            pickle = _find_pickle(path, infos)
            _check_entries(path, infos)
            if pickle.file_size > _PICKLE_BYTES:
                raise damaged(path, "a data.pkl far too large")
            wrong = archive.testzip()
            program = archive.read(pickle)
    except _DAMAGE as error:
        raise damaged(path, error) from error
    except RuntimeError as error:  # a password
        raise ValueError(f"{path} is encrypted; torch.save writes no such files") from error
    if wrong is not None:
        raise damaged(path, f"the checksum of {wrong} is wrong")
    _check_program(path, program)
    return frozenset(info.file_size for info in infos if "/data/" in info.filename)


def damaged(path: Path, reason: Exception | str) -> ValueError:
    """Make the error of a file that cannot be read."""
    text = " ".join(str(reason).split())[:200]
    return ValueError(f"{path} is cut short or damaged ({text}); copy or download it again")


def _check_end(path: Path) -> None:
    """Refuse an archive whose list of entries does not stand directly before its end.

    Where it stands elsewhere, or where something follows, readers differ in which list they take.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 98, 0))
        end = file.read()
    list_end, (list_bytes, list_start) = size - 22, struct.unpack("<LL", end[-10:-2])
    is_sound = end[-22:-18] == b"PK\x05\x06" and end[-2:] == b"\0\0"
    if end[-42:-38] == b"PK\x06\x07":  # 64-bit sizes, which stand before the others
        list_end, (list_bytes, list_start) = size - 98, struct.unpack("<QQ", end[-58:-42])
        is_sound &= end[:4] == b"PK\x06\x06" and end[-34:-26] == struct.pack("<Q", list_end)
    if not is_sound or list_start + list_bytes != list_end:
        raise damaged(path, "its list of entries is not at its end")


def _find_pickle(path: Path, infos: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    pickles = [
        info for info in infos if re.fullmatch(r"[^/]+/data\.pkl", info.filename, re.IGNORECASE)
    ]
    if len(pickles) != 1:
        raise ValueError(f"{path} is no file of torch.save: it has {len(pickles)} data.pkl")
    return pickles[0]


def _check_entries(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse names that PyTorch reads in another way, as it ignores their case, and compression."""
    names = [info.orig_filename for info in infos]
    prefix = names[0].partition("/")[0] + "/"
    seen = set[str]()
    for name in names:
        if name.lower() in seen or not name.startswith(prefix) or {"\\", "\0"} & set(name):
            raise ValueError(
                f"{path} is no file of torch.save: programs differ in how they read its entry "
                f"{name[:100]!r}; refused, nothing was read"
            )
        seen.add(name.lower())
    compressed = [info.filename for info in infos if info.compress_type != zipfile.ZIP_STORED]
    if compressed:
        raise ValueError(
            f"{path} was compressed ({compressed[0][:100]}), and PyTorch would take that for the "
            "numbers; get the file as torch.save wrote it"
        )
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise damaged(path, "its entries claim more than the file holds")


def _check_program(path: Path, program: bytes) -> None:
    """Refuse instructions that describe no tensors, and values that take for ever to compare.

    The stack is followed only for the sizes of tuples: repeated or nested, a few bytes stand for as
    many items as they like, and dictionaries look at all of them.
    """
    sizes: list[int] = []
    marks: list[int] = []
    memo: dict[object, int] = {}
    for code, value in _instructions(path, program):
        _check_instruction(path, code.name, value)
        try:
            if code.name == "MARK":
                marks.append(len(sizes))
            elif code.name in ("BINPUT", "LONG_BINPUT"):
                memo[value] = sizes[-1]
            elif code.name in ("BINGET", "LONG_BINGET"):
                sizes.append(memo[value])
            else:
                start = _first_taken(code, len(sizes), marks)
                size = 1 + sum(sizes[start:]) * code.name.startswith("TUPLE")
                sizes[start:] = [size] * len(code.stack_after)
        except (IndexError, KeyError) as error:
            raise damaged(path, f"its {code.name} finds nothing") from error
        if sizes and sizes[-1] > _TUPLE_ITEMS:
            raise ValueError(
                f"{path} holds a tuple of more than {_TUPLE_ITEMS} items, which tensors do not "
                "need; refused"
            )


def _instructions(path: Path, program: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, object]]:
    try:
        for code, value, _ in pickletools.genops(program):
            yield code, value
    except Exception as error:  # pickletools raises whatever the bytes lead it to
        raise damaged(path, error) from error


def _first_taken(code: pickletools.OpcodeInfo, num_values: int, marks: list[int]) -> int:
    """Say from which value on an instruction takes what is on the stack."""
    needed = code.stack_before
    if pickletools.markobject in needed:
        start = marks.pop() - needed.index(pickletools.markobject)
    else:
        start = num_values - len(needed)
    if start < 0:
        raise IndexError
    return start


def _check_instruction(path: Path, code: str, value: object) -> None:
    name = str(value).replace(" ", ".") if code == "GLOBAL" else f"the pickle instruction {code}"
    if code in _HIDING or (code == "GLOBAL" and not _HARMLESS.fullmatch(name)):
        raise ValueError(
            f"{path} would run code when it is read: it names {name[:100]}, which tensors do not "
            "need; refused, nothing was run. Ask its author for a file with tensors only"
        )
    if not _INSTRUCTIONS.fullmatch(code):
        raise ValueError(
            f"{path} holds {name}, which torch.save does not write for tensors; refused, nothing "
            "was run. Save it again with torch.save as it is (pickle_protocol 2)"
        )
