"""NeRF-style folders: lenses of frames, masks in files of their own, distortion, other lenses."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import DataError
from get3d.data import ImageDataset, open_dataset, validate_dataset
from tests.data.conftest import SIZE, blender, published

DOCS = Path(__file__).resolve().parents[2] / "docs" / "nerf_folders.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return blender(tmp_path / "d")


def change(root: Path, apply: Callable[[dict[str, Any]], object]) -> ImageDataset:
    """Change transforms_train.json and open the data set."""
    path = root / "transforms_train.json"
    content = json.loads(path.read_text())
    apply(content)
    path.write_text(json.dumps(content))
    return open_dataset(root)


def lens_of(root: Path, file: dict[str, Any], frame: dict[str, Any]) -> list[float]:
    """The intrinsics of frame 1, whose keys are added; `file` replaces the file's lens."""

    def apply(content: dict[str, Any]) -> None:
        del content["camera_angle_x"]
        content |= file
        content["frames"][1] |= frame

    intrinsics: list[float] = change(root, apply).cameras.intrinsics[1].tolist()
    return intrinsics


FILE = {"camera_angle_x": 2 * math.atan(0.5)}  # a focal length of 1 image size


@pytest.mark.parametrize(
    ("file", "frame", "expected"),
    [
        (FILE, {}, (1, 1, 0.5, 0.5)),
        (FILE, {"fl_x": 64.0}, (2, 2, 0.5, 0.5)),
        (FILE, {"fl_x": 64.0, "fl_y": 48.0, "cx": 8, "cy": 24}, (2, 1.5, 0.25, 0.75)),
        (FILE, {"fl_y": 64.0}, (2, 2, 0.5, 0.5)),
        (FILE, {"fl_x": 64.0, "w": 128, "h": 128, "cx": 32.0}, (0.5, 0.5, 0.25, 0.5)),
        (FILE, {"cx": 8.0}, (1, 1, 0.25, 0.5)),
        (FILE, {"camera_angle_x": 2 * math.atan(0.25)}, (2, 2, 0.5, 0.5)),
        (FILE, {"x_fov": math.degrees(2 * math.atan(0.25))}, (2, 2, 0.5, 0.5)),
        ({"fl_x": 64.0}, FILE, (1, 1, 0.5, 0.5)),
        (FILE | {"camera_angle_y": 2 * math.atan(0.25)}, {}, (1, 2, 0.5, 0.5)),
        (FILE | {"fl_x": 64.0, "w": 32, "h": 32}, {}, (2, 2, 0.5, 0.5)),
        (FILE | {"fl_x": 64.0, "fl_y": 64.0}, {"fl_x": 32.0}, (1, 1, 0.5, 0.5)),
        (FILE | {"aabb_scale": 4, "scale": 0.5, "offset": [0.5] * 3}, {}, (1, 1, 0.5, 0.5)),
    ],
)
def test_lenses(
    root: Path, file: dict[str, Any], frame: dict[str, Any], expected: tuple[float, ...]
) -> None:
    assert SIZE == 32
    assert lens_of(root, file, frame) == pytest.approx(expected, abs=1e-6)


def test_lenses_of_frames_explain_the_silhouettes(root: Path) -> None:
    """A ball seen through a lens of its own in each frame; the file's lens belongs to none."""

    def apply(content: dict[str, Any]) -> None:
        focal = 0.5 / math.tan(content["camera_angle_x"] / 2)
        for index, frame in enumerate(content["frames"]):
            path = root / f"{frame['file_path']}.png"
            image, zoom = Image.open(path), 1 + 0.2 * index
            half = SIZE / 2 / zoom
            box = (SIZE / 2 - half, SIZE / 2 - half, SIZE / 2 + half, SIZE / 2 + half)
            image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box).save(path)
            frame |= {"fl_x": focal * SIZE * zoom, "cx": SIZE / 2, "cy": SIZE / 2}

    change(root, apply)
    explained = validate_dataset(root).statistics["silhouettes explained by their cameras"]
    assert float(explained.rstrip("%")) > 97


def move_masks(root: Path, save: Callable[[Image.Image, Path], None]) -> Callable[..., None]:
    """A change that saves each image's alpha to a file of its own and the image as JPEG."""

    def apply(content: dict[str, Any]) -> None:
        (root / "masks").mkdir()
        for frame in content["frames"]:
            path = root / f"{frame['file_path']}.png"
            image = Image.open(path)
            mask_path = root / "masks" / path.name
            save(image.getchannel("A"), mask_path)
            frame["mask_path"] = f"masks/{path.name}"
            image.convert("RGB").save(path.with_suffix(".jpg"), quality=95)
            frame["file_path"] += ".jpg"

    return apply


@pytest.mark.parametrize(
    "save",
    [
        lambda mask, path: mask.save(path),
        lambda mask, path: mask.convert("RGB").save(path),
        lambda mask, path: mask.convert("1").save(path),
        lambda mask, path: mask.point(lambda value: value // 255).save(path),
        lambda mask, path: mask.convert("P").save(path),
    ],
    ids=["grey", "RGB", "bits", "zeros and ones", "palette"],
)
def test_masks_in_files_of_their_own(root: Path, save: Callable[..., None]) -> None:
    expected = open_dataset(root).load_all()
    found = change(root, move_masks(root, save)).load_all()
    assert torch.equal(found[:, 3], expected[:, 3])
    covered = expected[:, 3] == 255
    assert (found.float() - expected).abs().mean(dim=1)[covered].mean() < 8  # JPEG
    assert validate_dataset(root).is_usable


def test_a_mask_multiplies_alpha(root: Path) -> None:
    half = np.zeros((SIZE, SIZE), np.uint8)
    half[:, SIZE // 2 :] = 255
    Image.fromarray(half).save(root / "half.png")
    before = open_dataset(root).load_all()[2, 3]
    dataset = change(root, lambda content: content["frames"][2].update(mask_path="half.png"))
    assert torch.equal(dataset.load_all()[2, 3], before * torch.from_numpy(half // 255))
    assert torch.equal(dataset.subset(dataset.objects).load_all()[2, 3], dataset.load_all()[2, 3])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "mask.png: missing"),
        (Image.new("L", (SIZE, 16)), "mask.png: 32 x 16 pixels, but images must be square"),
        (Image.new("L", (16, 16)), "mask.png: 16 x 16 pixels, but the other images have 32"),
        (Image.new("I;16", (SIZE, SIZE)), "mask.png: pixels of the kind I;16.*8 bits"),
    ],
)
def test_wrong_masks_are_named(root: Path, mask: Image.Image | None, message: str) -> None:
    if mask is not None:
        mask.save(root / "mask.png")
    with pytest.raises(DataError, match=message):
        change(root, lambda content: content["frames"][1].update(mask_path="mask.png")).load_all()


@pytest.mark.parametrize("mask_path", ["../victim.png", "/etc/passwd", 5, ["a"]])
def test_masks_outside_the_dataset(root: Path, mask_path: object) -> None:
    Image.new("L", (SIZE, SIZE)).save(root.parent / "victim.png")
    with pytest.raises(DataError, match=r"leads out of|no name of a file"):
        change(root, lambda content: content["frames"][1].update(mask_path=mask_path))


def test_images_without_alpha_need_a_mask(root: Path) -> None:
    def apply(content: dict[str, Any]) -> None:
        path = root / f"{content['frames'][3]['file_path']}.png"
        Image.open(path).convert("RGB").save(path)

    with pytest.raises(DataError, match=r"r_3\.png: has no alpha.*mask_path"):
        change(root, apply).load_all()


OTHER_LENSES = [
    ({"camera_model": "OPENCV_FISHEYE", "k1": 0.1}, "camera_model 'OPENCV_FISHEYE'"),
    ({"camera_model": "OPENCV_FISHEYE"}, "camera_model 'OPENCV_FISHEYE'"),
    ({"camera_model": "EQUIRECTANGULAR"}, "camera_model 'EQUIRECTANGULAR'"),
    ({"camera_model": 5}, "camera_model 5"),
    ({"is_fisheye": True}, "is_fisheye"),
    ({"k1": 0.1, "k4": 0.2}, r"distortion k1 0\.1, k4 0\.2 cannot be undone"),
    ({"k1": -5.0}, "k1 -5 cannot be undone .the image would be folded"),
    ({"k1": float("nan")}, "k1 nan cannot be undone"),
    ({"p2": float("inf")}, "p2 inf cannot be undone"),
    ({"k1": "much"}, "frame 2 cannot be used"),
]


@pytest.mark.parametrize(("keys", "message"), OTHER_LENSES)
@pytest.mark.parametrize("is_of_frame", [True, False])
def test_lenses_that_are_refused(
    root: Path, keys: dict[str, Any], message: str, is_of_frame: bool
) -> None:
    if not is_of_frame:
        message = message.replace("frame 2", "frame 0")
    with pytest.raises(DataError, match=rf"transforms_train\.json: .*{message}") as caught:
        change(
            root, lambda content: (content["frames"][2] if is_of_frame else content).update(keys)
        )
    assert "\n" not in str(caught.value)
    report = validate_dataset(root)
    assert not report.is_usable


@pytest.mark.parametrize("model", ["OPENCV", "PINHOLE", "simple_radial"])
def test_zero_distortion_changes_nothing(root: Path, model: str) -> None:
    expected = open_dataset(root).load_all()
    keys = {"camera_model": model, "k1": 0, "k2": 0.0, "k4": 0, "p1": 0, "is_fisheye": False}
    dataset = change(root, lambda content: content.update(keys))
    assert all(image.distortion is None for image in dataset.images)
    assert torch.equal(dataset.load_all(), expected)


def test_the_folder_of_the_documentation(tmp_path: Path) -> None:
    """Its JSON, with images of the colours of their numbers, opens and gives what the text says."""
    blocks = re.findall(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    content = json.loads(blocks[0])
    folder = tmp_path / "shoes" / "shoe_0"
    for index, frame in enumerate(content["frames"]):
        for key in ("file_path", "mask_path"):
            (folder / frame[key]).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (100 * index, 50, 50)).save(folder / frame["file_path"])
        mask = np.zeros((64, 64), np.uint8)
        mask[20:44, 20:44] = 255
        Image.fromarray(mask).save(folder / frame["mask_path"])
    (folder / "transforms.json").write_text(blocks[0])
    dataset = open_dataset(tmp_path / "shoes")
    assert dataset.objects == ("shoe_0",)
    assert dataset.cameras.intrinsics[:, 0].tolist() == [70 / 64, 84 / 64]
    pixels = dataset.load_all()
    assert pixels[:, 3, 32, 32].tolist() == [255, 255]
    assert pixels[:, 0, 32, 32].tolist() == [0, 100]
    assert pixels[0, 3].float().sum() < 24 * 24 * 255  # k1 > 0 moves points outward
    report = validate_dataset(tmp_path / "shoes")
    assert report.is_usable
    assert report.statistics["images"] == "2"


def test_published_objects_without_a_category(tmp_path: Path) -> None:
    root = published(tmp_path / "d", num_objects=3)
    with_category = open_dataset(root)
    expected = with_category.load_all()
    for kind in ("img", "camera"):
        for folder in (root / kind / "things").iterdir():
            folder.rename(root / kind / folder.name)
        (root / kind / "things").rmdir()
    dataset = open_dataset(root)
    assert dataset.objects == ("thing_0", "thing_1", "thing_2")
    assert torch.equal(dataset.load_all(), expected)
    assert torch.equal(dataset.cameras.world_to_camera, with_category.cameras.world_to_camera)


def test_an_image_beside_published_objects_is_no_object(tmp_path: Path) -> None:
    root = published(tmp_path / "d")
    Image.new("RGBA", (SIZE, SIZE)).save(root / "img" / "things" / "preview.png")
    assert open_dataset(root).objects == ("things/thing_0", "things/thing_1")
