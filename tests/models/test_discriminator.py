import pytest
import torch

from get3d.core import Images
from get3d.models import DiscriminatorConfig, DiscriminatorPair
from get3d.models.discriminator import encode_angles, minibatch_stddev

TINY = {"image_size": 8, "channel_base": 64, "channel_max": 8}


def make_images(num: int = 4, size: int = 8) -> tuple[Images, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    images = Images(
        torch.randn(num, 3, size, size, generator=rng, dtype=torch.float64),
        torch.rand(num, 1, size, size, generator=rng, dtype=torch.float64),
    )
    return images, torch.rand(num, 2, generator=rng, dtype=torch.float64)


def make(**changes: object) -> DiscriminatorPair:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DiscriminatorPair(DiscriminatorConfig(**(TINY | changes))).double()


def test_each_discriminator_depends_on_its_own_image() -> None:
    images, angles = make_images()
    discriminator = make()
    before = discriminator(images, angles)
    other = discriminator(Images(images.rgb + 0.1, images.mask), angles)
    assert torch.equal(before.mask, other.mask)
    assert not torch.equal(before.rgb, other.rgb)


def test_cameras_matter_only_with_the_condition() -> None:
    images, angles = make_images()
    for condition in (True, False):
        discriminator = make(camera_condition=condition)
        same = torch.equal(discriminator(images, angles).rgb, discriminator(images, angles + 1).rgb)
        assert same != condition


def test_group_deviation() -> None:
    x = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    appended = minibatch_stddev(x, 2)
    assert appended.shape == (4, 4, 2, 2)
    pair = torch.stack([x[1], x[3]])
    expected = (pair.var(0, unbiased=False) + 1e-8).sqrt().mean()
    torch.testing.assert_close(appended[[1, 3], 3], expected.expand(2, 2, 2))
    with pytest.raises(ValueError, match="groups of 4"):
        minibatch_stddev(x.repeat(2, 1, 1, 1)[:6], 4)


def test_angles_are_encoded_by_sines_and_cosines() -> None:
    code = encode_angles(torch.tensor([[0.5, 1.0]]))
    assert code.shape == (1, 14)
    angles = torch.tensor([0.5, 1.0])
    torch.testing.assert_close(code[0, :4], torch.cat([angles.sin(), angles.cos()]))
    torch.testing.assert_close(code[0, -2:], torch.tensor([0.5, 1.0]))


def test_second_derivatives_for_r1() -> None:
    discriminator = make(image_size=8, channel_max=2, mbstd_group_size=2)
    images, angles = make_images(2)

    def penalty(rgb: torch.Tensor) -> torch.Tensor:
        logits = discriminator(Images(rgb, images.mask), angles).rgb
        (gradient,) = torch.autograd.grad(logits.sum(), rgb, create_graph=True)
        return gradient.square().sum()

    assert torch.autograd.gradcheck(penalty, images.rgb.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize(
    "change", [{"image_size": 48}, {"image_size": 4}, {"channel_base": 4}, {"channel_max": 0}]
)
def test_impossible_sizes_raise(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        DiscriminatorConfig(**(TINY | change))


def test_images_of_another_size_raise() -> None:
    images, angles = make_images(size=16)
    with pytest.raises(ValueError, match=r"must be 8 pixels high and wide.*, got 16 x 16"):
        make()(images, angles)
    for height, width in ((8, 16), (4, 4), (12, 12)):
        other = Images(images.rgb[..., :height, :width], images.mask[..., :height, :width])
        with pytest.raises(ValueError, match=f"got {width} x {height}"):
            make(image_size=16)(other, angles)


def test_smaller_images_enter_at_the_block_of_their_size() -> None:
    """As in a discriminator that has the last blocks only."""
    large, small = make(image_size=32, channel_base=64), make(image_size=16, channel_base=64)
    for own, other in ((large.rgb, small.rgb), (large.mask, small.mask)):
        other.blocks.load_state_dict(
            {
                f"{int(name[0]) - 1}{name[1:]}": value
                for name, value in own.blocks.state_dict().items()
                if name[0] != "0"
            }
        )
        for name in ("from_image", "conv", "fc", "camera", "out"):
            getattr(other, name).load_state_dict(getattr(own, name).state_dict())
    images, angles = make_images(size=16)
    ours, theirs = large(images, angles), small(images, angles)
    assert torch.equal(ours.rgb, theirs.rgb)
    assert torch.equal(ours.mask, theirs.mask)


class TestRgbSeesMask:
    """`rgb_sees_mask` gives the RGB discriminator the mask as a fourth channel."""

    @pytest.mark.parametrize("rgb_sees_mask", [False, True])
    def test_rgb_logits_depend_on_the_mask_only_then(self, rgb_sees_mask):
        torch.manual_seed(0)
        config = DiscriminatorConfig(
            image_size=16, channel_base=64, channel_max=8, rgb_sees_mask=rgb_sees_mask
        )
        discriminator = DiscriminatorPair(config)
        mask = torch.rand(4, 1, 16, 16, requires_grad=True)
        logits = discriminator(Images(torch.randn(4, 3, 16, 16), mask), torch.rand(4, 2))
        (slope,) = torch.autograd.grad(logits.rgb.sum(), mask, allow_unused=True)
        assert (slope is not None and bool(slope.abs().sum() > 0)) == rgb_sees_mask
