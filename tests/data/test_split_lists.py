"""Published lists of splits are applied by name."""

from pathlib import Path

import pytest

from get3d.core import DataError
from get3d.data.split_lists import read_split_lists, splits_by_file

FILES = [Path(f"/data/02958343/{name}/models/model_normalized.obj") for name in ("a1", "b2", "c3")]


def write(folder: Path, **lists: str) -> Path:
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_lists_of_lines(tmp_path: Path) -> None:
    path = write(tmp_path, train="02958343/a1\r\n\n", val="b2/\n", test="c3", readme="hello")
    lists = read_split_lists(path)
    assert lists == {"a1": "train", "b2": "val", "c3": "test"}
    found = splits_by_file(FILES, ["a1", "other", "c3"], lists, path=path)
    assert [found[file.resolve()] for file in FILES] == ["train", "val", "test"]


def test_tables_of_shapenet(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(
        "id,synsetId,subSynsetId,modelId,split\n1,02958343,0,a1,train\n2,02958343,0,b2,test\n"
    )
    lists = read_split_lists(path)
    assert lists == {"a1": "train", "b2": "test"}
    found = splits_by_file(FILES, ["a1", "b2", "c3"], lists, path=path)
    assert list(found.values()) == ["train", "test"]
    path.write_text("name, split\nchair one, VAL\n")
    assert read_split_lists(path) == {"chair one": "val"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,split\na,train\na,test\n", "a is in train and in test"),
        ("id,split\na,holdout\n", "split 'holdout'"),
        ("id,group\na,train\n", "no columns id and split"),
        ("", "no columns"),
        ("id,split\n", "lists no objects"),
        (f"id,split\n{'a' * 200_000},train\n", "cannot be read"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "all.csv").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_split_lists(tmp_path / "all.csv")


def test_lists_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no objects"):
        read_split_lists(tmp_path)
    with pytest.raises(DataError, match="no such list"):
        read_split_lists(tmp_path / "gone")
    with pytest.raises(DataError, match="none of the 3 mesh files is listed"):
        splits_by_file(FILES, ["x", "y", "z"], {"other": "train"}, path=tmp_path)
