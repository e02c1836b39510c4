"""Data sets that are damaged or made to do harm: one line that names the file, nothing touched."""

import io
import json
import os
import random
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from get3d.core import DataError, Get3DError, to_dict
from get3d.data import RenderConfig, find_meshes, open_dataset, render_dataset, validate_dataset
from get3d.data.image_files import read_image
from get3d.data.layouts import angles_to_cameras
from get3d.geometry import CameraDistribution
from tests.data.conftest import blender, published

NAMES = ("things/thing_0", "things/thing_1")
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def metadata(tmp_path: Path) -> dict[str, Any]:
    """A dataset of two objects in `tmp_path / "d"`, and its dataset.json, to be written again."""
    root = published(tmp_path / "d")
    objects = []
    for name in NAMES:
        angles = [
            np.load(root / "camera" / name / f"{kind}.npy") for kind in ("rotation", "elevation")
        ]
        cameras = angles_to_cameras(*(each.tolist() for each in angles))
        entry = {"name": name, "source": str(tmp_path / f"{Path(name).name}.obj")}
        entry["world_to_camera"] = cameras.world_to_camera.tolist()
        entry["intrinsics"] = cameras.intrinsics.tolist()
        objects.append(entry)
    return {
        "format": "get3d-dataset",
        "version": 1,
        "complete": True,
        "image_size": 32,
        "distribution": to_dict(CameraDistribution(radius=1.2, fovy_deg=49.13)),
        "config": to_dict(RenderConfig(views=6, size=32)),
        "splits": {"train": [NAMES[0]], "val": [], "test": [NAMES[1]]},
        "objects": objects,
    }


def write(tmp_path: Path, metadata: object) -> Path:
    (tmp_path / "d" / "dataset.json").write_text(json.dumps(metadata))
    return tmp_path / "d"


def refusal(root: Path) -> str:
    """The one line that both validation and training refuse a dataset with."""
    with pytest.raises(DataError) as caught:
        open_dataset(root).split("train")
    report = validate_dataset(root)
    assert not report.is_usable
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def test_the_dataset_itself_is_taken(tmp_path: Path, metadata: dict[str, Any]) -> None:
    assert open_dataset(write(tmp_path, metadata)).split("train").objects == NAMES[:1]


BAD_NAMES = [
    "../../victim",
    "things/../../victim",
    "things/..",
    "../things",
    "/tmp/victim",
    "things//thing_0",
    "things",
    "things/thing_0/more",
    "things/",
    "/things",
    "things\\thing_0",
    "C:/thing",
    "things/thing\0",
    "things/ ..",
    "things/\ud800",
    "things/" + "x" * 300,
    "",
    5,
    None,
    ["things", "thing_0"],
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_two_plain_components(
    tmp_path: Path, metadata: dict[str, Any], name: object
) -> None:
    metadata["objects"][0]["name"] = name
    assert "is no name of an object" in refusal(write(tmp_path, metadata))


@pytest.mark.parametrize("name", BAD_NAMES)
def test_rendering_on_touches_nothing_outside(
    tmp_path: Path, metadata: dict[str, Any], name: object
) -> None:
    """Names of an earlier run become folders that are written and deleted."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "precious").write_text("x")
    (tmp_path / "bad.obj").write_text("v 0 0 0\n")
    metadata["objects"] = [{"name": name, "source": "/nonexistent.glb"}]
    root = write(tmp_path, metadata | {"complete": False})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"dataset\.json: damaged metadata .* is no name of an obj"):
        render_dataset([tmp_path / "bad.obj"], root, RenderConfig(views=6, size=32))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_rendering_on_does_not_follow_links(tmp_path: Path, metadata: dict[str, Any]) -> None:
    (tmp_path / "victim" / "x").mkdir(parents=True)
    (tmp_path / "victim" / "x" / "precious").write_text("x")
    (tmp_path / "bad.obj").write_text("v 0 0 0\n")
    metadata["objects"] = [{"name": "link/x", "source": "/nonexistent.glb"}]
    root = write(tmp_path, metadata | {"complete": False})
    (root / "img" / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(DataError, match=r"leads out of .* by a link"):
        render_dataset([tmp_path / "bad.obj"], root, RenderConfig(views=6, size=32))
    assert (tmp_path / "victim" / "x" / "precious").is_file()


def put(*keys: Any, value: Any) -> Callable[[Any], None]:
    """A change of one value in nested containers."""

    def apply(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return apply


CHANGES = {
    "a split of lists": (put("splits", "train", value=[[1]]), "split 'train' holds [1], which is"),
    "an empty split": (put("splits", "train", value=[]), "split 'train' has no objects"),
    "no split for training": (lambda content: content["splits"].pop("train"), "no split named"),
    "a split of numbers": (put("splits", "train", value=[5]), "holds 5, which is no object"),
    "a split of others": (put("splits", "train", value=["../x"]), "holds '../x', which is no obj"),
    "a split that is text": (put("splits", "train", value="all"), "is no list of objects"),
    "splits that are a list": (put("splits", value=[1]), "damaged metadata"),
    "one object twice": (put("objects", 1, "name", value=NAMES[0]), "each once"),
    "infinite size": (put("image_size", value=INF), "image_size is inf"),
    "negative size": (put("image_size", value=-1), "image_size is -1"),
    "size of another type": (put("image_size", value=True), "image_size is True"),
    "huge size": (put("image_size", value=10**400), "image_size is 1000"),
    "objects that are a number": (put("objects", value=5), "damaged metadata"),
    "an object that is a list": (put("objects", 0, value=[]), "damaged metadata"),
    "a config that is a list": (put("config", value=[]), "damaged metadata"),
    "a distribution of infinite radius": (put("distribution", "radius", value=1e300), "radius"),
    "a field of view of nothing": (put("distribution", "fovy_deg", value=1e-300), "fovy_deg"),
    "cameras that are text": (put("objects", 0, "world_to_camera", value="x"), "damaged metadata"),
    "no cameras": (put("objects", 0, "world_to_camera", value=[]), "4 x 4 matrix"),
    "half a matrix": (put("objects", 0, "world_to_camera", value=[[1.0, 0.0]]), "4 x 4 matrix"),
    "an integer beyond floats": (
        put("objects", 0, "world_to_camera", 2, 0, 3, value=10**400),
        "damaged metadata",
    ),
    **{
        f"a camera at {value}": (
            put("objects", 0, "world_to_camera", 2, 2, 3, value=value),
            "things/thing_0, view 2: the camera must stand 0.1 to 1000 from the origin",
        )
        for value in (NAN, INF, 1e300, -1e300, 2000.0)
    },
    "a singular camera": (
        put("objects", 0, "world_to_camera", 3, value=[[0.0] * 4] * 4),
        "things/thing_0, view 3: the camera is not a rotation",
    ),
    "a rotation of NaN": (
        put("objects", 0, "world_to_camera", 3, 0, 0, value=NAN),
        "things/thing_0, view 3: the camera is not a rotation",
    ),
    **{
        f"a focal length of {value}": (
            put("objects", 1, "intrinsics", 5, 0, value=value),
            "things/thing_1, view 5: the camera must have focal lengths",
        )
        for value in (NAN, INF, 0.0, -1.0, 1e300)
    },
    "a centre of NaN": (put("objects", 1, "intrinsics", 5, 2, value=NAN), "thing_1, view 5"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_values_of_other_types(tmp_path: Path, metadata: dict[str, Any], name: str) -> None:
    change, message = CHANGES[name]
    change(metadata)
    text = refusal(write(tmp_path, metadata))
    assert str(tmp_path / "d") in text
    assert message in text


@pytest.mark.parametrize("name", ["dataset.json", "transforms.json"])
@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_deep_json(tmp_path: Path, name: str, bracket: str) -> None:
    (tmp_path / name).write_text(bracket * 200_000)
    with pytest.raises(DataError, match=f"{name}: not valid JSON"):
        open_dataset(tmp_path)
    assert not validate_dataset(tmp_path).is_usable


@pytest.mark.parametrize(
    "file_path", ["../../victim.png", "/etc/passwd", "a/../../../victim", "", ".", "a\0b", 5, None]
)
def test_file_paths_that_lead_out_of_the_dataset(tmp_path: Path, file_path: object) -> None:
    root = blender(tmp_path / "d", names=("one",))
    Image.new("RGBA", (32, 32)).save(tmp_path / "victim.png")
    path = root / "one" / "transforms_train.json"
    content = json.loads(path.read_text())
    content["frames"][1]["file_path"] = file_path
    path.write_text(json.dumps(content))
    text = refusal(root)
    assert "one" in text
    assert "victim.png: missing" not in text


def test_images_beside_the_objects_are_inside(tmp_path: Path) -> None:
    root = blender(tmp_path / "d", names=("one",))
    (root / "one" / "train").rename(root / "images")
    path = root / "one" / "transforms_train.json"
    path.write_text(path.read_text().replace("./train/", "../images/"))
    assert len(open_dataset(root)) == 6
    assert "leads out of" in refusal(root / "one")


@pytest.mark.parametrize("row", [[0, 0, 0, 0], [0, 0, 0, NAN], [1, 0, 0, 1]])
def test_last_rows_of_transforms(tmp_path: Path, row: list[float]) -> None:
    path = blender(tmp_path / "d") / "transforms_train.json"
    content = json.loads(path.read_text())
    content["frames"][1]["transform_matrix"][3] = row
    path.write_text(json.dumps(content))
    assert "frame 1" in refusal(tmp_path / "d")


def header(text: str) -> bytes:
    """A .npy file with a header and six numbers."""
    padded = text.encode("latin1") + b" " * (118 - len(text) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + bytes(48)


def archive() -> bytes:
    content = io.BytesIO()
    np.savez(content, rotation=np.zeros(6))
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        archive(),
        archive()[:200],
        b"\x93NUMPY\x01\x00" + bytes(30),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (6,"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (6,), }(("),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-6,), }"),
        header("{'descr': '|O', 'fortran_order': False, 'shape': (6,), }"),
        header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (6,), }"),
        header("{'descr': '<c16', 'fortran_order': False, 'shape': (3,), }"),
        header("'" * 50),
        header("\xff\x00" * 20),
    ],
)
def test_angles_of_other_kinds(tmp_path: Path, content: bytes) -> None:
    root = published(tmp_path / "d")
    path = root / "camera" / NAMES[1] / "rotation.npy"
    path.write_bytes(content)
    assert str(path) in refusal(root)


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e300, 721.0])
def test_angles_that_are_none(tmp_path: Path, value: float) -> None:
    root = published(tmp_path / "d")
    path = root / "camera" / NAMES[1] / "elevation.npy"
    np.save(path, np.full(6, value))
    assert f"{path}: holds values that are no angles" in refusal(root)


def png_of(width: int) -> bytes:
    """A PNG whose header claims a size, of a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", width, width, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(bytes(9))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("width", [9000, 50_000, 2**31 - 1])
def test_images_that_claim_a_huge_size(tmp_path: Path, width: int) -> None:
    path = tmp_path / "000.png"
    path.write_bytes(png_of(width))
    with pytest.raises(DataError, match=r"000\.png: .*(pixels|decompression bomb)"):
        read_image(path)
    with pytest.raises(DataError, match=r"000\.png"):
        read_image(path, image_size=32)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("name", ["img/{}/002.png", "camera/{}/rotation.npy"])
def test_named_pipes_are_not_opened(tmp_path: Path, name: str) -> None:
    root = published(tmp_path / "d")
    path = root / name.format(NAMES[0])
    path.unlink()
    os.mkfifo(path)
    assert any(str(path) in text for text in validate_dataset(root).errors)
    with pytest.raises(DataError, match=path.name):
        open_dataset(root).load_all()
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_transparent_images(tmp_path: Path) -> None:
    root = published(tmp_path / "d")
    for path in root.glob("img/*/*/*.png"):
        Image.new("RGBA", (32, 32)).save(path)
    errors = validate_dataset(root).errors
    assert any(f"{NAMES[0]}/000.png: 12 of 12 images show no object" in text for text in errors)


def test_a_folder_that_may_not_be_read_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = published(tmp_path / "d")
    scandir, listdir = os.scandir, os.listdir

    def refuse(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(path: Any = ".") -> Any:
            if Path(path).name == "things":
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        return call

    monkeypatch.setattr(os, "scandir", refuse(scandir))
    monkeypatch.setattr(os, "listdir", refuse(listdir))
    with pytest.raises(PermissionError, match="things"):
        open_dataset(root)
    with pytest.raises(PermissionError, match="things"):
        find_meshes([root])


ODD = [
    None,
    True,
    -1,
    2**70,
    1e300,
    NAN,
    INF,
    "",
    "../..",
    "\0",
    [],
    [[1]],
    {},
    {"a": 1},
    "x" * 999,
]


def mutate(content: Any, rng: random.Random) -> None:
    """Replace or delete one value somewhere in nested containers."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(content[key], dict | list) and content[key] and rng.random() < 0.7:
            content = content[key]
        elif rng.random() < 0.2:
            del content[key]
            return
        else:
            content[key] = rng.choice(ODD)
            return


def test_two_hundred_mutated_dataset_files(tmp_path: Path, metadata: dict[str, Any]) -> None:
    """Whatever is read opens, or is refused in one line."""
    rng = random.Random(0)
    text = json.dumps(metadata)
    messages = []
    for index in range(200):
        if index % 4:
            content = json.loads(text)
            for _ in range(rng.randrange(1, 4)):
                mutate(content, rng)
            mutated = json.dumps(content).encode()
        else:
            raw = bytearray(text.encode())
            start = rng.randrange(len(raw))
            raw[start : start + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
            mutated = bytes(raw)
        (tmp_path / "d" / "dataset.json").write_bytes(mutated)
        try:
            dataset = open_dataset(tmp_path / "d").split("train")
            assert dataset.cameras.world_to_camera.isfinite().all()
        except Get3DError as error:
            messages.append(str(error))
    assert len(messages) > 100
    odd = [text for text in messages if "\n" in text or str(tmp_path / "d") not in text]
    assert not odd
