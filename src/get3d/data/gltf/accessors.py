"""Typed arrays of a glTF file (glTF 2.0, section 3.6.2): strides, normalised integers, sparse."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from get3d.data.gltf.document import DamagedError, Document, as_object, natural

_DTYPES: dict[Any, np.dtype] = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
# Rows and columns; the columns of matrices start at multiples of four bytes.
_SHAPES: dict[Any, tuple[int, int]] = {
    "SCALAR": (1, 1),
    "VEC2": (2, 1),
    "VEC3": (3, 1),
    "VEC4": (4, 1),
    "MAT2": (2, 2),
    "MAT3": (3, 3),
    "MAT4": (4, 4),
}


def read_floats(
    document: Document,
    index: Any,
    what: str,
    *,
    sizes: tuple[int, ...],
    is_normalized: bool | None = None,
) -> Float[np.ndarray, "n c"]:
    """Read an accessor as real numbers.

    Args:
        document: The file.
        index: Of the accessor.
        what: Name for error messages.
        sizes: Numbers of components that are accepted.
        is_normalized: Whether integers stand for fractions of their largest value; None: as the
            file says.

    Returns:
        One row an element; matrices column by column.

    Raises:
        DamagedError: If the accessor is damaged.
    """
    values, says_normalized = _read(document, index, what)
    if values.shape[1] not in sizes:
        raise DamagedError(
            f"{what} has {values.shape[1]} components instead of {' or '.join(map(str, sizes))}"
        )
    result = values.astype(np.float64)
    if values.dtype.kind in "iu" and (says_normalized if is_normalized is None else is_normalized):
        result = np.maximum(result / np.iinfo(values.dtype).max, -1.0)
    return result


def read_integers(
    document: Document, index: Any, what: str, *, size: int
) -> Int[np.ndarray, "n c"]:
    """Read an accessor of unsigned integers: vertex indices or joints.

    Raises:
        DamagedError: If the accessor is damaged or holds something else.
    """
    values, _ = _read(document, index, what)
    if values.dtype.kind != "u" or values.shape[1] != size:
        raise DamagedError(f"{what} are not unsigned integers with {size} components")
    return values.astype(np.int64)


def _read(document: Document, index: Any, what: str) -> tuple[Shaped[np.ndarray, "n c"], bool]:
    """Return the elements of an accessor as stored, and whether they are normalised."""
    entry = document.item("accessors", index)
    count = natural(entry, "count", f"accessor {index} ({what})")
    dtype, shape = _DTYPES.get(_key(entry, "componentType")), _SHAPES.get(_key(entry, "type"))
    if dtype is None or shape is None:
        raise DamagedError(f"accessor {index} ({what}) has an unknown type")
    start = natural(entry, "byteOffset", f"accessor {index}", default=0)
    if "bufferView" in entry:
        values = _elements(document, entry["bufferView"], start, count, dtype, shape, what)
    else:
        # Zeros need no bytes, so a small file could call for any number of them.
        if count > max(document.num_bytes(), 1 << 10):
            raise DamagedError(
                f"accessor {index} ({what}) has {count} elements without content, more than all "
                "buffers have bytes"
            )
        values = np.zeros((count, shape[0] * shape[1]), dtype)
    if "sparse" in entry:
        values = _with_sparse(document, entry["sparse"], values, dtype, shape, what)
    return values, entry.get("normalized") is True


def _key(entry: dict[str, Any], name: str) -> Any:
    """Return a property that can be looked up in a table."""
    value = entry.get(name)
    return value if isinstance(value, str | int | float) else None


def _elements(
    document: Document,
    view: Any,
    start: int,
    count: int,
    dtype: np.dtype,
    shape: tuple[int, int],
    what: str,
) -> Shaped[np.ndarray, "n c"]:
    """Read elements from a buffer view."""
    content, stride = document.view(view)
    rows, columns = shape
    column_bytes = rows * dtype.itemsize
    if columns > 1:
        column_bytes += -column_bytes % 4
    element_bytes = column_bytes * (columns - 1) + rows * dtype.itemsize
    if not stride:  # zero is written by some exporters for tightly packed
        stride = column_bytes * columns
    if stride < element_bytes:
        raise DamagedError(f"the elements of {what} overlap")
    if count and start + stride * (count - 1) + element_bytes > len(content):
        raise DamagedError(f"{what} goes beyond the end of its buffer view")
    if not count:
        return np.zeros((0, rows * columns), dtype)
    elements = np.ndarray(
        (count, columns, rows),
        dtype,
        buffer=content,
        offset=start,
        strides=(stride, column_bytes, dtype.itemsize),
    )
    return elements.reshape(count, columns * rows)


def _with_sparse(
    document: Document,
    sparse: Any,
    values: Shaped[np.ndarray, "n c"],
    dtype: np.dtype,
    shape: tuple[int, int],
    what: str,
) -> Shaped[np.ndarray, "n c"]:
    """Replace the elements that the accessor lists."""
    sparse = as_object(sparse, f"sparse of {what}")
    places = _sparse_indices(document, sparse, len(values), what)
    source = as_object(sparse.get("values"), f"sparse values of {what}")
    start = natural(source, "byteOffset", f"sparse values of {what}", default=0)
    new = _elements(document, source.get("bufferView"), start, len(places), dtype, shape, what)
    values = values.copy()
    values[places] = new
    return values


def _sparse_indices(
    document: Document, sparse: dict[str, Any], count: int, what: str
) -> Int[np.ndarray, " s"]:
    """Read which elements a sparse accessor replaces."""
    num = natural(sparse, "count", f"sparse of {what}")
    source = as_object(sparse.get("indices"), f"sparse indices of {what}")
    dtype = _DTYPES.get(_key(source, "componentType"))
    if dtype is None or dtype.kind != "u":
        raise DamagedError(f"sparse indices of {what} have an unknown type")
    start = natural(source, "byteOffset", f"sparse indices of {what}", default=0)
    view = source.get("bufferView")
    places = _elements(document, view, start, num, dtype, (1, 1), f"sparse indices of {what}")
    if num and int(places.max()) >= count:
        raise DamagedError(f"sparse indices of {what} go beyond its {count} elements")
    return places[:, 0].astype(np.int64)
