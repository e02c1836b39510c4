import json
from pathlib import Path

import pytest

from get3d.data.shape_labels import INDEX_NAME, read_labels


def test_labels_are_found_by_file(tmp_path: Path) -> None:
    entries = [{"file": f"{name}.glb", "labels": {"kind": name}} for name in ("mug", "cup")]
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / INDEX_NAME).write_text(json.dumps({"shapes": entries}))
    files = [tmp_path / "test" / name for name in ("cup.glb", "mug.glb", "own.glb")]
    assert read_labels([*files, tmp_path / "own.glb"]) == [{"kind": "cup"}, {"kind": "mug"}, {}, {}]
    for other in (
        "not JSON",
        "[1]",
        "[" * 100_000,
        '{"shapes": [{"file": "own.glb", "labels": 3}]}',
    ):
        (tmp_path / INDEX_NAME).write_text(other)
        with pytest.warns(UserWarning, match=r"shapes\.json: damaged .* no shape has labels"):
            assert read_labels([tmp_path / "own.glb"]) == [{}]


def test_labels_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    labels = {"kind": ["cup"], "handles": 1, "spout": None, "color": "red"}
    content = {"shapes": [{"file": "own.glb", "labels": labels}]}
    (tmp_path / INDEX_NAME).write_text(json.dumps(content))
    assert read_labels([tmp_path / "own.glb"]) == [{"handles": "1", "color": "red"}]
