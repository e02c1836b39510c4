"""Names of objects come from what tells their files apart."""

from pathlib import Path

import pytest

from get3d.data.object_names import NameFrom, object_names


def names(paths: list[str], name_from: NameFrom = "auto", taken: tuple[str, ...] = ()) -> list[str]:
    root = Path("/data/set")
    files = [root / path for path in paths]
    return object_names(files, [root], category="c", name_from=name_from, taken=taken)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        # ShapeNetCore v2 and v1, one object or several
        (["02958343/aaa1/models/model_normalized.obj"], ["aaa1"]),
        ([f"02958343/{i}/models/model_normalized.obj" for i in ("aaa1", "bbb2")], ["aaa1", "bbb2"]),
        ([f"02958343/{i}/model.obj" for i in ("aaa1", "bbb2")], ["aaa1", "bbb2"]),
        # Google Scanned Objects, OmniObject3D, 3D-FUTURE, Objaverse
        ([f"{name}/meshes/model.obj" for name in ("Cup", "Jug")], ["Cup", "Jug"]),
        ([f"cup_{i}/Scan/Scan.obj" for i in ("001", "002")], ["cup_001", "cup_002"]),
        (["a/raw_model.obj", "b/raw_model.obj"], ["a", "b"]),
        (["000-001/f00.glb", "000-002/f01.glb"], ["f00", "f01"]),
        # one id in two categories
        (["car/1/model.obj", "bus/1/model.obj", "car/2/model.obj"], ["car_1", "bus_1", "car_2"]),
        (["model.obj"], ["set"]),
    ],
)
def test_layouts_of_data_sets(paths: list[str], expected: list[str]) -> None:
    assert names(paths) == [f"c/{name}" for name in expected]


def test_ways_to_name() -> None:
    paths = ["x/a.obj", "y/b?.obj"]
    assert names(paths) == names(paths, "file") == ["c/a", "c/b_"]
    assert names(paths, "folder") == ["c/x", "c/y"]
    assert names(paths, "path") == ["c/x_a", "c/y_b_"]
    both = names(["x/a.obj", "y/A.obj"], "file")
    assert len(both) == len({name.lower() for name in both}) == 2
    assert [name[:4].lower() for name in both] == ["c/a_", "c/a_"]


def test_names_that_are_taken_get_a_hash() -> None:
    (name,) = names(["a.obj"], taken=("c/A",))
    assert name.startswith("c/a_")
    assert names(["a.obj"], taken=("other/a",)) == ["c/a"]
    clash = names(["a/model.obj", "b/model.obj", "a.obj"])
    assert len({text.lower() for text in clash}) == 3
    assert clash[1] == "c/b"
