"""Shapes that stand in two collections: a test shape that was learnt from scores too well."""

from collections.abc import Sequence

import numpy as np

from get3d.apps.evaluation.measure import ShapeRecord

_TOLERANCE = 1e-4
"""Of numbers about 1 large: what rounding to six digits leaves, and no other shape reaches."""
_NAMED = 3


def find_duplicates(
    reference: Sequence[ShapeRecord], training: Sequence[ShapeRecord]
) -> list[tuple[str, str]]:
    """List references whose surface is that of a training shape, each with the first such one.

    Copies under other names, at other places and sizes, with other materials or faces count.
    """
    learnt = [record for record in training if record.signature]
    if not learnt:
        return []
    signatures = np.array([record.signature for record in learnt])
    found = []
    for record in reference:
        is_same = (np.abs(signatures - np.array(record.signature)) < _TOLERANCE).all(1)
        if is_same.any():
            found.append((record.name, learnt[int(is_same.argmax())].name))
    return found


def describe_duplicates(duplicates: Sequence[tuple[str, str]], num_reference: int) -> str:
    """Say in one line which they are."""
    named = ", ".join(f"{test} is {train}" for test, train in duplicates[:_NAMED])
    more = ", ..." if len(duplicates) > _NAMED else ""
    return (
        f"{len(duplicates)} of {num_reference} reference shapes are in the training set too "
        f"({named}{more})"
    )
