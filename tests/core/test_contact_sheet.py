"""Contact sheets contain every image, and PNG files round-trip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from get3d.core import contact_sheet, images_to_u8, save_png


def test_bytes_cover_the_range_and_clip() -> None:
    images = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).view(1, 1, 1, 5)
    assert images_to_u8(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert images_to_u8(images, low=0.0)[0, 0, :, 0].tolist() == [0, 0, 0, 255, 255]


def test_every_image_is_at_its_place() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * 40 + np.zeros(
        (5, 6, 4, 3), np.uint8
    )
    sheet = np.asarray(contact_sheet(images, columns=2, gap_px=1))
    assert sheet.shape == (6 * 3 + 2, 4 * 2 + 1, 3)
    for index, image in enumerate(images):
        top, left = index // 2 * 7, index % 2 * 5
        assert (sheet[top : top + 6, left : left + 4] == image).all()
    assert (sheet[:, 4] == 255).all()


def test_alpha_is_composited_on_white() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    sheet = np.asarray(contact_sheet([clear]))
    assert (sheet == 255).all()


def test_labels_are_below_images_and_may_have_any_letter() -> None:
    images = np.zeros((2, 30, 30, 1), np.uint8)
    plain = contact_sheet(images)
    labelled = np.asarray(contact_sheet(images, labels=["椅子", "a very long name of a chair"]))
    assert labelled.shape[0] > plain.height
    assert (labelled[30:] < 128).any()
    assert labelled.shape[1] == plain.width


def test_bad_input_is_named() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="empty"):
        contact_sheet([])
    with pytest.raises(ValueError, match="1 for 2"):
        contact_sheet(images, labels=["one"])
    with pytest.raises(ValueError, match="columns"):
        contact_sheet(images, columns=0)
    with pytest.raises(ValueError, match="channels"):
        contact_sheet(np.zeros((1, 4, 4, 2), np.uint8))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_round_trip(tmp_path: Path, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    save_png(tmp_path / "a.png", image, durable=False)
    with Image.open(tmp_path / "a.png") as read:
        assert (np.asarray(read).reshape(image.shape) == image).all()
