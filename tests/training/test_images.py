import math
from dataclasses import replace

import pytest
import torch

from get3d.core import Condition
from get3d.geometry import CameraDistribution, camera_angles, clip_matrices, orbit_cameras, to_clip
from get3d.training.images import RealImages, check_mirror, mirror, read_images

CPU = torch.device("cpu")


def read(images, positions, **options):
    return read_images(images, positions, seed=3, **{"is_mirrored": False} | options)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_parts_of_a_batch_are_those_of_the_whole(images, is_mirrored):
    reference = read(images, torch.arange(20, 28), is_mirrored=is_mirrored)
    part = read(images, torch.tensor([21, 27]), is_mirrored=is_mirrored)
    assert torch.equal(part.rgba_u8, reference.rgba_u8[[1, 7]])
    assert torch.equal(part.condition.angles, reference.condition.angles[[1, 7]])
    assert reference.to_batch(CPU, image_size=16).images.rgb.min() == -1


@pytest.mark.parametrize("is_binary", [False, True])
def test_smaller_images_are_averages_of_blocks(images, is_binary):
    found = read(images, torch.arange(4))
    half = found.to_batch(CPU, image_size=8, is_binary=is_binary).images
    blocks = found.rgba_u8.float().unflatten(2, (8, 2)).unflatten(4, (8, 2)).mean((3, 5)) / 255
    torch.testing.assert_close(half.rgb, blocks[:, :3] * 2 - 1)
    expected = blocks[:, 3:]
    torch.testing.assert_close(half.mask, expected.ceil() if is_binary else expected)


def test_an_epoch_shows_every_image_once(images):
    shown = read(images, torch.arange(20)).condition.angles[:, 0]
    assert torch.equal(shown.sort().values, images.angles[:, 0].repeat_interleave(2).sort().values)


def test_labels_stay_with_their_images(images):
    labelled = replace(images, labels=torch.arange(10))
    found = read(labelled, torch.arange(6))
    assert torch.equal(images.angles[found.condition.label], found.condition.angles)
    assert found.to_batch(CPU, image_size=16).condition.label is not None


def test_real_masks_are_binary_or_soft(images):
    half = read(replace(images, read=lambda index: images.read(index) // 2), torch.arange(4))
    batches = [half.to_batch(CPU, image_size=16, is_binary=each) for each in (True, False)]
    masks = [batch.images.mask for batch in batches]
    assert set(masks[0].unique().tolist()) == {0.0, 1.0}
    assert masks[1].max() == pytest.approx(127 / 255)


def test_a_mirrored_camera_sees_the_mirrored_object_as_a_mirrored_image():
    angles = torch.tensor([[0.7, 1.2]])
    image = torch.zeros(1, 4, 2, 2, dtype=torch.uint8)
    mirrored = mirror(RealImages(image, Condition(angles)), torch.tensor([True]))
    mirrored = mirrored.condition.angles

    def project(angles, points):
        cameras = orbit_cameras(angles[:, 0], angles[:, 1], radius=1.2, fovy_rad=0.8)
        assert torch.allclose(camera_angles(cameras), angles, atol=1e-5)
        clip = to_clip(points, clip_matrices(cameras))[0]
        return clip[:, :2] / clip[:, 3:]

    points = torch.rand(5, 3) - 0.5
    flip_x = torch.tensor([-1.0, 1.0, 1.0])
    flip_column = torch.tensor([-1.0, 1.0])
    expected = project(angles, points) * flip_column
    assert torch.allclose(project(mirrored, points * flip_x), expected, atol=1e-5)


def test_only_the_chosen_images_are_mirrored(images):
    lopsided, angles = images.read(torch.tensor([1, 2])).clone(), images.angles[1:3]
    lopsided[..., :8] = 0
    mixed = mirror(RealImages(lopsided, Condition(angles)), torch.tensor([False, True]))
    assert torch.equal(mixed.rgba_u8[0], lopsided[0])
    assert torch.equal(mixed.rgba_u8[1], lopsided[1].flip(-1))
    assert torch.equal(mixed.condition.angles[0], angles[0])
    assert mixed.condition.angles[1, 0] == pytest.approx(2 * math.pi - float(angles[1, 0]))


def test_mirroring_needs_rotations_that_are_their_own_mirror_image():
    for rotation_deg in ((0.0, 360.0), (-60.0, 60.0), (300.0, 420.0)):
        check_mirror(CameraDistribution(radius=1.2, fovy_deg=49.0, rotation_deg=rotation_deg))
    with pytest.raises(ValueError, match="set it to false"):
        check_mirror(CameraDistribution(radius=1.2, fovy_deg=49.0, rotation_deg=(0.0, 90.0)))
