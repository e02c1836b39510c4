"""Checks of image sets against their protocol."""

from dataclasses import replace

import pytest
import torch

from get3d.metrics.image_sets import (
    ImageProtocol,
    check_counts,
    check_image_set,
    composite,
    protocol_differences,
)

PROTOCOL = ImageProtocol(
    extractor="some-network",
    extractor_fingerprint="01234567",
    resize="none",
    image_size=16,
    source="mesh",
    num_generated=4,
    num_reference=4,
)


def renders(background: tuple[int, int, int] = (0, 0, 0), num: int = 4) -> torch.Tensor:
    images = torch.tensor(background, dtype=torch.uint8).view(1, 3, 1, 1).repeat(num, 1, 16, 16)
    images[:, :, 2:15, 3:] = 200
    return images


def test_same_images_pass() -> None:
    check_image_set("generated", renders(), PROTOCOL)
    check_image_set("generated", renders((5, 9, 0)), PROTOCOL)  # nearly black
    check_image_set("data", renders((255, 255, 255)), replace(PROTOCOL, background=(255,) * 3))
    full = renders()
    full[0] = 120  # one object that fills its image
    check_image_set("generated", full, PROTOCOL)
    check_counts(4, 4, PROTOCOL)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (renders((255, 255, 255)), r"generated .*background.*100%.*\(255, 255, 255\)"),
        (renders((0, 0, 90)), r"background.*\(0, 0, 90\)"),
        (renders()[:, :, :8], "16 x 8 pixels.*16 x 16"),
        (renders()[:, :1], "3 channels"),
        (renders().float(), "bytes"),
    ],
)
def test_other_images_raise(images, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_image_set("generated", images, PROTOCOL)


def test_counts() -> None:
    with pytest.raises(ValueError, match=r"num_reference: there are 3 images.*says 4"):
        check_counts(4, 3, PROTOCOL)
    with pytest.raises(ValueError, match="num_generated must be at least 2"):
        replace(PROTOCOL, num_generated=1)
    with pytest.raises(ValueError, match="image_size"):
        replace(PROTOCOL, image_size=0)
    with pytest.raises(ValueError, match="three bytes"):
        replace(PROTOCOL, background=(0, 0, 256))


def test_composite() -> None:
    rgba = torch.zeros(1, 4, 1, 3, dtype=torch.uint8)
    rgba[0, :, 0, 0] = torch.tensor([200, 100, 0, 255])
    rgba[0, :, 0, 1] = torch.tensor([200, 100, 0, 128])
    rgba[0, :, 0, 2] = torch.tensor([200, 100, 0, 0])  # hidden colour
    assert composite(rgba)[0, :, 0].T.tolist() == [[200, 100, 0], [100, 50, 0], [0, 0, 0]]
    assert composite(rgba, (255, 255, 255))[0, :, 0, 2].tolist() == [255, 255, 255]
    with pytest.raises(ValueError, match=r"1 of 1 images have no transparent pixel"):
        composite(rgba[..., :1])


def test_differences_are_named() -> None:
    assert protocol_differences(PROTOCOL, replace(PROTOCOL, seed=5)) == []
    other = replace(PROTOCOL, image_size=32, extractor_fingerprint="89abcdef")
    assert protocol_differences(PROTOCOL, other) == [
        "extractor_fingerprint: 01234567, 89abcdef",
        "image_size: 16, 32",
    ]
