"""The tables of a PLY file: header, then rows of text or bytes."""

import re
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, Num

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}
_HEADER_END = re.compile(rb"[\r\n][ \t]*end_header[ \t]*(\r\n|\n|\r)")


@dataclass(frozen=True)
class Ragged:
    """Lists of any length, one a row.

    Attributes:
        values: Of all rows, behind one another.
        sizes: Length of each list.
    """

    values: Num[np.ndarray, " values"]
    sizes: Int[np.ndarray, " rows"]


@dataclass(frozen=True)
class Property:
    """A column: a number a row, or a list.

    Attributes:
        name: Of the column.
        kind: numpy type of the numbers, without byte order.
        count_kind: Type of a list's length; None: no list.
    """

    name: str
    kind: str
    count_kind: str | None = None


@dataclass
class Element:
    """A table.

    Attributes:
        name: Such as vertex.
        num_rows: Number of rows.
        properties: Columns in the order of the file.
        columns: What was read, by name.
    """

    name: str
    num_rows: int
    properties: list[Property] = field(default_factory=list)
    columns: dict[str, Num[np.ndarray, " rows"] | Ragged] = field(default_factory=dict)


def read_tables(data: bytes) -> tuple[dict[str, Element], list[str]]:
    """Read all tables of a PLY file.

    Args:
        data: Content of the file.

    Returns:
        Tables by name, and the comments of the header.

    Raises:
        ValueError: If the header or the data is damaged or cut off.
    """
    end = _HEADER_END.search(data)
    if not data.startswith(b"ply") or end is None:
        raise ValueError("no PLY header")
    layout, elements, comments = _parse_header(data[: end.start()])
    if layout == "ascii":
        _read_text(data[end.end() :], elements)
    else:
        _read_binary(data, end.end(), elements, "<" if layout == "binary_little_endian" else ">")
    return {element.name: element for element in elements}, comments


def _parse_header(header: bytes) -> tuple[str, list[Element], list[str]]:
    """Read the lines before end_header."""
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError:
        text = header.decode("latin-1")
    layout, elements, comments = "", list[Element](), list[str]()
    for line in re.split(r"[\r\n]+", text)[1:]:
        match line.split():
            case ["format", word, *_] if word in (
                "ascii",
                "binary_little_endian",
                "binary_big_endian",
            ):
                layout = word
            case ["comment" | "obj_info", *_]:
                comments.append(line.strip().partition(" ")[2].strip())
            case ["element", name, count] if count.isascii() and count.isdigit():
                elements.append(Element(name, int(count[:20])))
            case ["property", "list", count, kind, name] if count in _TYPES and elements:
                elements[-1].properties.append(Property(name, _kind(kind), _TYPES[count]))
            case ["property", kind, name] if elements:
                elements[-1].properties.append(Property(name, _kind(kind)))
            case []:
                pass
            case _:
                raise ValueError(f"the header has a line {line.strip()[:60]!r}")
    if not layout:
        raise ValueError("the header names no format")
    return layout, elements, comments


def _kind(name: str) -> str:
    """Return numpy's name of a type."""
    if name not in _TYPES:
        raise ValueError(f"the header has a type {name[:20]!r}")
    return _TYPES[name]


def _read_text(data: bytes, elements: list[Element]) -> None:
    """Read rows of numbers, which may stand on any lines."""
    words = data.split()
    try:
        numbers = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise ValueError("the data is not all numbers") from error
    at = 0
    for element in elements:
        width = len(element.properties)
        if element.num_rows * width > len(numbers) - at:
            raise _cut_off(element)
        if all(item.count_kind is None for item in element.properties):
            table = numbers[at : at + element.num_rows * width].reshape(element.num_rows, width)
            at += table.size
            for place, item in enumerate(element.properties):
                element.columns[item.name] = table[:, place]
        else:
            at = _read_text_lists(numbers, at, element)


def _read_text_lists(numbers: Num[np.ndarray, " n"], at: int, element: Element) -> int:
    """Read a table that has lists, row by row; return where it ends."""
    starts: dict[str, list[int]] = {item.name: [] for item in element.properties}
    sizes: dict[str, list[int]] = {item.name: [] for item in element.properties}
    for _ in range(element.num_rows):
        for item in element.properties:
            if at >= len(numbers):
                raise _cut_off(element)
            size = 1
            if item.count_kind is not None:
                if not 0 <= numbers[at] <= len(numbers) - at - 1:  # also false for NaN
                    raise _cut_off(element)
                size, at = int(numbers[at]), at + 1
            starts[item.name].append(at)
            sizes[item.name].append(size)
            at += size
    for item in element.properties:
        start, size_of = np.array(starts[item.name], int), np.array(sizes[item.name], int)
        if item.count_kind is None:
            element.columns[item.name] = numbers[start]
        else:
            element.columns[item.name] = Ragged(numbers[_ranges(start, size_of)], size_of)
    return at


def _read_binary(data: bytes, at: int, elements: list[Element], order: str) -> None:
    """Read rows of bytes."""
    for element in elements:
        row = [np.dtype(item.count_kind or item.kind).itemsize for item in element.properties]
        if element.num_rows * sum(row) > len(data) - at:
            raise _cut_off(element)
        if not element.num_rows or not row:
            for item in element.properties:
                none = np.zeros(0, item.kind)
                is_list = item.count_kind is not None
                element.columns[item.name] = Ragged(none, np.zeros(0, int)) if is_list else none
            continue
        # Nearly all files have lists of one length: try that of the first row.
        sizes = _first_sizes(data, at, element, order)
        kind = np.dtype(
            [field for item in element.properties for field in _fields(item, sizes, order)]
        )
        if element.num_rows * kind.itemsize <= len(data) - at:
            table = np.frombuffer(data, kind, element.num_rows, at)
            if all((table[f"# {name}"] == size).all() for name, size in sizes.items()):
                for item in element.properties:
                    column = table[item.name]
                    each = np.full(element.num_rows, sizes.get(item.name, 1))
                    element.columns[item.name] = (
                        column if item.count_kind is None else Ragged(column.reshape(-1), each)
                    )
                at += element.num_rows * kind.itemsize
                continue
        at = _read_binary_lists(data, at, element, order)


def _first_sizes(data: bytes, at: int, element: Element, order: str) -> dict[str, int]:
    """Read the lengths of the lists of the first row."""
    sizes = {}
    for item in element.properties:
        if item.count_kind is None:
            at += np.dtype(item.kind).itemsize
            continue
        size, at = _count(data, at, item, element, order)
        sizes[item.name] = size
        at += size * np.dtype(item.kind).itemsize
    return sizes


def _count(data: bytes, at: int, item: Property, element: Element, order: str) -> tuple[int, int]:
    """Read the length of a list; return it and where the list begins."""
    kind = np.dtype(order + str(item.count_kind))
    begin = at + kind.itemsize
    size = int(np.frombuffer(data, kind, 1, at)[0]) if begin <= len(data) else -1
    if not 0 <= size * np.dtype(item.kind).itemsize <= len(data) - begin:
        raise _cut_off(element)
    return size, begin


def _fields(item: Property, sizes: dict[str, int], order: str) -> list[tuple]:
    """Make the fields of a row's numpy type, where all lists have the length of the first."""
    if item.count_kind is None:
        return [(item.name, order + item.kind)]
    return [
        (f"# {item.name}", order + item.count_kind),
        (item.name, order + item.kind, (sizes[item.name],)),
    ]


def _read_binary_lists(data: bytes, at: int, element: Element, order: str) -> int:
    """Read a table whose lists differ in length, row by row; return where it ends."""
    starts: dict[str, list[int]] = {item.name: [] for item in element.properties}
    sizes: dict[str, list[int]] = {item.name: [] for item in element.properties}
    for _ in range(element.num_rows):
        for item in element.properties:
            size = 1
            if item.count_kind is not None:
                size, at = _count(data, at, item, element, order)
            starts[item.name].append(at)
            sizes[item.name].append(size)
            at += size * np.dtype(item.kind).itemsize
            if at > len(data):
                raise _cut_off(element)
    raw = np.frombuffer(data, np.uint8)
    for item in element.properties:
        width = np.dtype(item.kind).itemsize
        start, size_of = np.array(starts[item.name], int), np.array(sizes[item.name], int)
        bytes_at = _ranges(start, size_of * width)
        values = raw[bytes_at].view(order + item.kind)
        element.columns[item.name] = values if item.count_kind is None else Ragged(values, size_of)
    return at


def _ranges(
    starts: Int[np.ndarray, " n"], sizes: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " total"]:
    """Join the ranges [start, start + size)."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - sizes), sizes) + np.arange(total)


def _cut_off(element: Element) -> ValueError:
    """Make the error for tables with fewer rows than the header says."""
    return ValueError(f"the file ends within its {element.num_rows} rows of {element.name}")
