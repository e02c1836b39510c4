import math
from dataclasses import replace

import pytest
import torch

from get3d.geometry import CameraDistribution, camera_angles, clip_matrices, orbit_cameras, to_clip
from get3d.training.images import RealBatch, check_mirror, mirror, read_batch

CPU = torch.device("cpu")


def test_portions_are_the_batch(config, images):
    schedule = replace(config.schedule, accumulate=2)
    batch = read_batch(images, replace(config, schedule=schedule), 0)
    whole = next(batch.portions(config, CPU, image_size=16))
    parts = list(batch.portions(replace(config, schedule=schedule), CPU, image_size=16))
    assert [len(part.angles) for part in parts] == [2, 2]
    assert torch.equal(torch.cat([part.images.rgb for part in parts]), whole.images.rgb)
    assert whole.images.rgb.min() == -1


@pytest.mark.parametrize("real_mask", ["binary", "soft"])
def test_smaller_images_are_averages_of_blocks(config, images, real_mask):
    config = replace(config, loss=replace(config.loss, real_mask=real_mask))
    batch = read_batch(images, config, 0)
    half = next(batch.portions(config, CPU, image_size=8)).images
    blocks = batch.rgba_u8.float().unflatten(2, (8, 2)).unflatten(4, (8, 2)).mean((3, 5)) / 255
    torch.testing.assert_close(half.rgb, blocks[:, :3] * 2 - 1)
    expected = blocks[:, 3:]
    torch.testing.assert_close(half.mask, expected if real_mask == "soft" else expected.ceil())


def test_an_epoch_shows_every_picture_once(config, images):
    steps = [read_batch(images, config, step) for step in range(5)]
    shown = torch.cat([step.angles[:, 0] for step in steps])
    assert torch.equal(shown.sort().values, images.angles[:, 0].repeat_interleave(2).sort().values)


def test_real_masks_are_binary_or_soft(config, images):
    half = replace(images, read=lambda index: images.read(index) // 2)
    soft = replace(config, loss=replace(config.loss, real_mask="soft"))
    masks = [
        next(read_batch(half, each, 0).portions(each, CPU, image_size=16)).images.mask
        for each in (config, soft)
    ]
    assert set(masks[0].unique().tolist()) == {0.0, 1.0}
    assert masks[1].max() == pytest.approx(127 / 255)


def test_a_mirrored_camera_sees_the_mirrored_object_as_a_mirrored_picture():
    angles = torch.tensor([[0.7, 1.2]])
    picture = torch.zeros(1, 4, 2, 2, dtype=torch.uint8)
    mirrored = mirror(RealBatch(picture, angles), torch.tensor([True])).angles

    def see(angles, points):
        cameras = orbit_cameras(angles[:, 0], angles[:, 1], radius=1.2, fovy_rad=0.8)
        assert torch.allclose(camera_angles(cameras), angles, atol=1e-5)
        clip = to_clip(points, clip_matrices(cameras))[0]
        return clip[:, :2] / clip[:, 3:]

    points = torch.rand(5, 3) - 0.5
    flip_x = torch.tensor([-1.0, 1.0, 1.0])
    flip_column = torch.tensor([-1.0, 1.0])
    expected = see(angles, points) * flip_column
    assert torch.allclose(see(mirrored, points * flip_x), expected, atol=1e-5)


def test_only_the_chosen_pictures_are_mirrored(images):
    batch = RealBatch(images.read(torch.tensor([1, 2])), images.angles[1:3])
    lopsided = batch.rgba_u8.clone()
    lopsided[..., :8] = 0
    mixed = mirror(RealBatch(lopsided, batch.angles), torch.tensor([False, True]))
    assert torch.equal(mixed.rgba_u8[0], lopsided[0])
    assert torch.equal(mixed.rgba_u8[1], lopsided[1].flip(-1))
    assert torch.equal(mixed.angles[0], batch.angles[0])
    assert mixed.angles[1, 0] == pytest.approx(2 * math.pi - float(batch.angles[1, 0]))


def test_mirroring_needs_rotations_that_are_their_own_mirror_image():
    for rotation_deg in ((0.0, 360.0), (-60.0, 60.0), (300.0, 420.0)):
        check_mirror(CameraDistribution(radius=1.2, fovy_deg=49.0, rotation_deg=rotation_deg))
    with pytest.raises(ValueError, match="set it to false"):
        check_mirror(CameraDistribution(radius=1.2, fovy_deg=49.0, rotation_deg=(0.0, 90.0)))
