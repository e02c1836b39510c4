"""All three layouts give the same kind of images; whatever does not fit is named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.data.dataset import ImageDataset, open_dataset
from get3d.data.layouts import DataError
from get3d.geometry.cameras import camera_angles, camera_origins, clip_matrices, to_clip

Maker = Callable[..., Path]


def mask_centroids(dataset: ImageDataset) -> torch.Tensor:
    """Mean covered pixel of each image, in clip space."""
    masks = dataset.load_all()[:, 3].double()
    size = masks.shape[-1]
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    total = masks.sum(dim=(1, 2))
    return torch.stack(
        [(masks.sum(1) * axis).sum(1) / total, (masks.sum(2) * axis).sum(1) / total], dim=1
    )


def check_cameras_agree(dataset: ImageDataset) -> None:
    """The ball of the fixtures lies off the axis, so any wrong sign moves it on the image."""
    clip = to_clip(torch.tensor([[0.0, 0.1, 0.2]]), clip_matrices(dataset.cameras))[:, 0]
    expected = clip[:, :2] / clip[:, 3:]
    assert (mask_centroids(dataset) - expected).abs().max() < 1.0 / dataset.image_size
    assert expected.std(dim=0).min() > 0.02


def test_published_layout(tmp_path: Path, make_published: Maker) -> None:
    dataset = open_dataset(make_published(tmp_path / "d", num_objects=3))
    assert len(dataset) == len(dataset.cameras) == 18
    assert dataset.objects == ("things/thing_0", "things/thing_1", "things/thing_2")
    assert dataset.image_object.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert dataset.distribution.radius == pytest.approx(1.2, abs=1e-4)
    assert dataset.distribution.fovy_deg == pytest.approx(49.13, abs=0.01)
    angles = torch.rad2deg(camera_angles(dataset.cameras))
    elevation = np.load(tmp_path / "d/camera/things/thing_1/elevation.npy")
    rotation = np.load(tmp_path / "d/camera/things/thing_1/rotation.npy")
    assert np.allclose(angles[6:12, 0], rotation, atol=1e-3)
    assert np.allclose(angles[6:12, 1], 90 - elevation, atol=1e-3)
    check_cameras_agree(dataset)


def test_transforms_json(tmp_path: Path, make_blender: Maker) -> None:
    dataset = open_dataset(make_blender(tmp_path / "lego"))
    assert dataset.objects == ("lego",)
    assert dataset.distribution.rotation_deg == (0.0, 360.0)
    assert dataset.distribution.radius == pytest.approx(1.5, abs=1e-4)
    assert torch.allclose(camera_origins(dataset.cameras).norm(dim=1), torch.tensor(1.5))
    check_cameras_agree(dataset)


def test_folder_of_transforms_folders(tmp_path: Path, make_blender: Maker) -> None:
    dataset = open_dataset(make_blender(tmp_path / "many", names=("b", "a")))
    assert dataset.objects == ("a", "b")
    check_cameras_agree(dataset)


def test_pixel_focal_lengths_are_read(tmp_path: Path, make_blender: Maker) -> None:
    root = make_blender(tmp_path / "d")
    content = json.loads((root / "transforms_train.json").read_text())
    focal_px = 32 * 0.5 / np.tan(content.pop("camera_angle_x") / 2)
    content |= {"fl_x": focal_px, "w": 32, "h": 32, "cx": 16.0, "cy": 16.0}
    (root / "transforms.json").write_text(json.dumps(content))
    check_cameras_agree(open_dataset(root))


def test_samples_are_premultiplied_and_in_range(tmp_path: Path, make_published: Maker) -> None:
    root = make_published(tmp_path / "d")
    path = root / "img/things/thing_0/000.png"
    image = np.full((32, 32, 4), (255, 0, 100, 0), np.uint8)
    image[:16, :, 3] = 128
    Image.fromarray(image).save(path)
    dataset = open_dataset(root)
    sample = dataset[0]
    assert sample.rgb.shape == (3, 32, 32)
    assert sample.mask.shape == (1, 32, 32)
    assert (sample.rgb[:, 16:] == -1).all()
    assert torch.allclose(sample.rgb[0, :16], torch.tensor(128 / 255 * 2 - 1), atol=1e-6)
    assert torch.allclose(sample.mask[0, :16], torch.tensor(128 / 255))
    loaded = dataset.load_all(indices=[0])[0].float() / 255
    assert torch.allclose(loaded[:3] * 2 - 1, sample.rgb, atol=1e-6)
    assert dataset[-1].camera == len(dataset) - 1
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_shrinking_averages_areas(tmp_path: Path, make_published: Maker) -> None:
    dataset = open_dataset(make_published(tmp_path / "d"))
    small = dataset.load_all(image_size=8).float()
    mean = dataset.load_all().float().view(-1, 4, 8, 4, 8, 4).mean(dim=(3, 5))
    assert (small - mean).abs().max() <= 1.0  # two roundings to bytes
    with pytest.raises(ValueError, match="image_size must lie between 1 and 32"):
        dataset.load_all(image_size=64)


def test_splits(tmp_path: Path, make_published: Maker) -> None:
    dataset = open_dataset(make_published(tmp_path / "d", num_objects=3))
    assert dataset.split("train") is dataset
    with pytest.raises(ValueError, match="no split named 'test'"):
        dataset.split("test")
    part = dataset.subset(["things/thing_2", "things/thing_0"])
    assert part.objects == ("things/thing_0", "things/thing_2")
    assert part.image_object.tolist() == [0] * 6 + [1] * 6
    check_cameras_agree(part)
    with pytest.raises(ValueError, match="no object named 'x'"):
        dataset.subset(["x"])


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        open_dataset(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no dataset here"):
        open_dataset(tmp_path)
    (tmp_path / "img").mkdir()
    with pytest.raises(DataError, match="no objects"):
        open_dataset(tmp_path)


def test_wrong_camera_files_are_named(tmp_path: Path, make_published: Maker) -> None:
    root = make_published(tmp_path / "d")
    path = root / "camera/things/thing_1/rotation.npy"
    np.save(path, np.zeros(5))
    with pytest.raises(DataError, match=r"rotation\.npy: 5 angles for 6 images"):
        open_dataset(root)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"rotation\.npy: cannot be read"):
        open_dataset(root)
    np.save(path, np.full(6, np.nan))
    with pytest.raises(DataError, match=r"rotation\.npy: holds values"):
        open_dataset(root)
    path.unlink()
    with pytest.raises(DataError, match=r"rotation\.npy: missing"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "cut off or damaged"),
        (lambda path: path.write_bytes(b"not an image"), "cut off or damaged"),
        (lambda path: Image.new("RGB", (32, 32)).save(path), "needs masks"),
        (lambda path: Image.new("RGBA", (16, 16)).save(path), "16 x 16 pixels, but the other"),
        (lambda path: Image.new("RGBA", (16, 20)).save(path), "must be square"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_wrong_images_are_named(
    tmp_path: Path, make_published: Maker, change: Callable[[Path], None], message: str
) -> None:
    dataset = open_dataset(make_published(tmp_path / "d"))
    change(dataset.images[3].path)
    with pytest.raises(DataError, match=rf"thing_0/003\.png: .*{message}"):
        dataset[3]
    with pytest.raises(DataError, match=rf"thing_0/003\.png: .*{message}"):
        dataset.load_all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("camera_angle_x"), "frame 0 .*camera_angle_x"),
        (lambda content: content.update(camera_angle_x=0.0), "frame 0 .*division"),
        (lambda content: content.update(camera_angle_x=float("nan")), "frame 0.*focal lengths"),
        (lambda content: content.update(fl_x=10, w=0, h=0), "frame 0 .*division"),
        (
            lambda content: content.update(fl_x=10, w=48, h=32),
            "frame 0 .*must be square, got 48 x 32",
        ),
        (lambda content: content.pop("frames"), "no frames"),
        (lambda content: content["frames"][2].pop("transform_matrix"), "frame 2"),
        (lambda content: content["frames"][2].update(file_path="./gone"), "gone: missing"),
        (lambda content: content["frames"][1]["transform_matrix"].pop(), "frame 1.*4 x 4"),
        (lambda content: content["frames"][1]["transform_matrix"][0].reverse(), "frame 1"),
    ],
)
def test_wrong_transforms_are_named(
    tmp_path: Path, make_blender: Maker, change: Callable[[dict], object], message: str
) -> None:
    path = make_blender(tmp_path / "d") / "transforms_train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "d")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match="not valid JSON"):
        open_dataset(tmp_path / "d")
