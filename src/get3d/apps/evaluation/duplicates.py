"""Shapes that stand in two collections: a test shape that was learnt from scores too well."""

from collections.abc import Sequence

from get3d.apps.evaluation.measure import ShapeRecord

_NAMED = 3


def find_duplicates(
    reference: Sequence[ShapeRecord], training: Sequence[ShapeRecord]
) -> list[tuple[str, str]]:
    """List references whose surface is that of a training shape, each with the first such one.

    Copies under other names, at other places and sizes or with other materials count.
    """
    learnt: dict[str, str] = {}
    for record in training:
        if record.geometry_hash:
            learnt.setdefault(record.geometry_hash, record.name)
    return [
        (record.name, learnt[record.geometry_hash])
        for record in reference
        if record.geometry_hash in learnt
    ]


def describe_duplicates(duplicates: Sequence[tuple[str, str]], num_reference: int) -> str:
    """Say in one line which they are."""
    named = ", ".join(f"{test} is {train}" for test, train in duplicates[:_NAMED])
    more = ", ..." if len(duplicates) > _NAMED else ""
    return (
        f"{len(duplicates)} of {num_reference} reference shapes are in the training set too "
        f"({named}{more})"
    )
