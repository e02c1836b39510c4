"""Every kind of damage is reported, and a valid dataset has no errors."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.data.layouts import angles_to_cameras
from get3d.data.silhouettes import carve_hull
from get3d.data.validate import training_warnings, validate_dataset
from get3d.geometry.cameras import clip_matrices, to_clip

Maker = Callable[..., Path]


def splat(points: torch.Tensor, cameras: object, size: int) -> np.ndarray:
    """Masks of a cloud of points, three pixels wide each."""
    clip = to_clip(points, clip_matrices(cameras))
    pixels = ((clip[..., :2] / clip[..., 3:] + 1) / 2 * size).long().numpy()
    masks = np.zeros((len(pixels), size, size), bool)
    for mask, view in zip(masks, pixels, strict=True):
        for x, y in view:
            mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = True
    return masks


def crooked(root: Path, *, rotation_sign: float = 1.0, elevation: str = "right") -> Path:
    """Published layout of a shape without any symmetry; the camera files may lie."""
    rng = np.random.default_rng(0)
    arms = [(0.35, 0.0, 0.0), (0.0, 0.4, 0.1), (0.15, -0.1, 0.3), (-0.1, 0.3, -0.25)]
    steps = np.linspace(0, 1, 30)[:, None]
    points = torch.tensor(np.concatenate([steps * np.array(arm) for arm in arms])).float()
    for index in range(2):
        name = f"things/crooked_{index}"
        rotation_deg, elevation_deg = rng.uniform(0, 360, 16), rng.uniform(10, 40, 16)
        cameras = angles_to_cameras(rotation_deg.tolist(), elevation_deg.tolist())
        (root / "img" / name).mkdir(parents=True)
        (root / "camera" / name).mkdir(parents=True)
        for view, mask in enumerate(splat(points, cameras, 64)):
            rgba = np.full((64, 64, 4), 200, np.uint8) * mask[..., None]
            rgba[..., 3] = mask * 255
            Image.fromarray(rgba.astype(np.uint8)).save(root / "img" / name / f"{view:03d}.png")
        stored = {"right": elevation_deg, "negated": -elevation_deg, "polar": 90 - elevation_deg}
        np.save(root / "camera" / name / "rotation.npy", rotation_sign * rotation_deg)
        np.save(root / "camera" / name / "elevation.npy", stored[elevation])
    return root


def test_sound_datasets_have_no_errors(
    tmp_path: Path, make_published: Maker, make_blender: Maker
) -> None:
    for root in (
        make_published(tmp_path / "a"),
        make_blender(tmp_path / "b"),
        crooked(tmp_path / "c"),
    ):
        report = validate_dataset(root)
        assert report.errors == ()
        assert report.is_usable
        assert any("only" in text and "images" in text for text in report.warnings)
        explained = report.statistics["silhouettes explained by their cameras"]
        assert float(explained.rstrip("%")) > 90


@pytest.mark.parametrize("size", [1, 4])
def test_objects_larger_than_the_generators_cube_are_a_warning(
    tmp_path: Path, make_blender: Maker, size: int
) -> None:
    path = make_blender(tmp_path / "d") / "transforms_train.json"
    content = json.loads(path.read_text())
    for frame in content["frames"]:
        for row in frame["transform_matrix"][:3]:
            row[3] *= size
    path.write_text(json.dumps(content))
    report = validate_dataset(tmp_path / "d")
    side = float(report.statistics["objects fit a cube of size"])
    assert side == pytest.approx(0.4 * size, rel=0.25)  # a ball of radius 0.2, on a coarse grid
    assert any("--generator.scale" in text for text in report.warnings) == (size == 4)


def test_cropped_objects_have_no_size(tmp_path: Path, make_published: Maker) -> None:
    root = make_published(tmp_path / "d")
    for path in root.rglob("*.png"):
        rgba = np.asarray(Image.open(path)).copy()
        rgba[0] = 255
        Image.fromarray(rgba).save(path)
    report = validate_dataset(root)
    assert "unknown" in report.statistics["objects fit a cube of size"]
    assert not any("--generator.scale" in text for text in report.warnings)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"rotation_sign": -1.0}, "rotation runs the other way"),
        ({"elevation": "negated"}, "elevation has the opposite sign"),
        ({"elevation": "polar"}, "angles from the vertical"),
    ],
)
def test_wrong_camera_conventions_are_recognised(
    tmp_path: Path, lie: dict[str, object], message: str
) -> None:
    report = validate_dataset(crooked(tmp_path / "d", **lie))
    assert any(message in text for text in report.errors), report


def test_damage_is_listed_all_at_once(tmp_path: Path, make_published: Maker) -> None:
    root = make_published(tmp_path / "d", num_objects=6)
    images = root / "img/things"
    (images / "thing_0/001.png").write_bytes(b"cut")
    Image.new("RGB", (32, 32)).save(images / "thing_1/002.png")
    Image.new("RGBA", (16, 16)).save(images / "thing_2/003.png")
    (images / "thing_3/005.png").unlink()
    (root / "camera/things/thing_4/elevation.npy").unlink()
    Image.new("RGBA", (32, 32)).save(images / "thing_5/000.png")
    Image.new("RGBA", (32, 32), (1, 2, 3, 255)).save(images / "thing_5/001.png")
    half = Image.new("RGBA", (32, 32))
    half.paste((9, 9, 9, 255), (0, 0, 16, 16))
    half.save(images / "thing_5/002.png")
    report = validate_dataset(root)
    for part in (
        "thing_0/001.png: cannot be read",
        "thing_1/002.png: has no alpha",
        "thing_2/003.png: 16 x 16",
        "thing_3/rotation.npy: 6 angles for 5 images",
        "thing_4/elevation.npy: missing",
    ):
        assert any(part in text for text in report.errors), part
    for part in (
        "thing_5/000.png: 1 of 21 images show no object",
        "thing_5/001.png: 1 of 21 images have no background",
        "thing_5/002.png: 1 of 21 images show an object cut off",
    ):
        assert any(part in text for text in report.warnings), part


def test_opaque_images_are_an_error(tmp_path: Path, make_published: Maker) -> None:
    root = make_published(tmp_path / "d")
    for path in (root / "img").rglob("*.png"):
        Image.new("RGBA", (32, 32), (1, 2, 3, 255)).save(path)
    report = validate_dataset(root)
    assert any("12 of 12 images have no background" in text for text in report.errors)


def test_overlay_is_an_image_of_boxes(tmp_path: Path, make_published: Maker) -> None:
    report = validate_dataset(
        make_published(tmp_path / "d"), overlay_path=tmp_path / "out" / "overlay.png"
    )
    assert report.is_usable
    with Image.open(tmp_path / "out" / "overlay.png") as overlay:
        colors = np.asarray(overlay).reshape(-1, 3)
    assert overlay.width >= 512
    assert (colors == (255, 140, 0)).all(axis=1).sum() > 200


def test_progress_counts_every_image(tmp_path: Path, make_published: Maker) -> None:
    calls: list[tuple[int, int]] = []
    validate_dataset(
        make_published(tmp_path / "d"), on_progress=lambda *counts: calls.append(counts)
    )
    assert calls == [(number, 12) for number in range(1, 13)]


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no dataset here"):
        validate_dataset(tmp_path)
    (tmp_path / "img").mkdir()
    assert "no usable objects" in validate_dataset(tmp_path).errors[0]
    (tmp_path / "dataset.json").write_text('{"format": "get3d-da')
    assert "not valid JSON" in validate_dataset(tmp_path).errors[0]


def test_hull_of_a_ball_has_its_box() -> None:
    cameras = angles_to_cameras([15.0 * step for step in range(24)], [10.0, 40.0] * 12)
    axis = torch.linspace(-1, 1, 25)
    points = torch.cartesian_prod(axis, axis, axis)
    ball = points[points.norm(dim=1) <= 1] * 0.3 + torch.tensor([0.1, 0.0, -0.05])
    masks = torch.from_numpy(splat(ball, cameras, 40))
    hull = carve_hull(masks, cameras, half_extent=0.6)
    assert hull.explained > 0.99
    # Two pixels and a cell of the grid, each about 0.03 wide; nobody looks at it from above, so
    # upwards the hull ends where the silhouettes' tangents meet.
    assert torch.allclose(hull.low[[0, 2]], torch.tensor([-0.2, -0.35]), atol=0.12)
    assert torch.allclose(hull.high[[0, 2]], torch.tensor([0.4, 0.25]), atol=0.12)
    assert hull.low[1] < -0.3
    assert hull.high[1] > 0.3


def test_too_few_views_are_named_and_draw_nothing(tmp_path: Path, make_published: Maker) -> None:
    root = make_published(tmp_path / "d", num_views=2)
    report = validate_dataset(root, overlay_path=tmp_path / "overlay.png")
    assert any("cannot be compared (no object with 3 views)" in text for text in report.warnings)
    assert not report.has_overlay
    assert not (tmp_path / "overlay.png").exists()


def test_training_warnings_name_the_flag_and_its_value(tmp_path: Path) -> None:
    root = crooked(tmp_path / "c")
    scale = float(validate_dataset(root).statistics["objects fit a cube of size"])
    fitting = " ".join(training_warnings(root, scale=scale))
    assert "only 32 images" in fitting
    assert "cube" not in fitting
    large = " ".join(training_warnings(root, scale=scale / 2))
    assert "and are cut off at its faces; train with --generator.scale 0." in large
    small = " ".join(training_warnings(root, scale=2 * scale))
    assert "and use little of its resolution; train with --generator.scale 0." in small


def test_training_warnings_of_cropped_objects_and_wrong_cameras(tmp_path: Path) -> None:
    root = crooked(tmp_path / "c", rotation_sign=-1.0)
    for path in (root / "img").rglob("*.png"):
        with Image.open(path) as opened:
            opened.crop((24, 24, 56, 56)).save(path)
    found = " ".join(training_warnings(root, scale=1.0))
    assert "cut off by the border" in found
    assert "render them smaller (`get3d render --longest-side 0." in found
    assert "disagree" in found or "contradict" in found
    with pytest.raises(FileNotFoundError):
        training_warnings(tmp_path / "nowhere", scale=1.0)
