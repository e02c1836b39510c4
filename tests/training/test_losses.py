import math

import torch

from get3d.core import DiscriminatorOutput, Images
from get3d.training.losses import discriminator_loss, generator_loss, r1_penalty


def test_logits_of_zero_have_a_loss_of_log_two():
    logits = torch.zeros(3)
    assert torch.allclose(generator_loss(logits), torch.full((3,), math.log(2)))
    assert torch.allclose(discriminator_loss(logits, logits), torch.full((3,), 2 * math.log(2)))


def test_losses_pull_in_opposite_directions():
    fake = torch.tensor([0.3], requires_grad=True)
    (up,) = torch.autograd.grad(generator_loss(fake).sum(), fake)
    (down,) = torch.autograd.grad(discriminator_loss(torch.zeros(1), fake).sum(), fake)
    assert up.item() < 0 < down.item()


def test_generator_loss_does_not_saturate():
    fake = torch.tensor([-30.0], requires_grad=True)
    (slope,) = torch.autograd.grad(generator_loss(fake).sum(), fake)
    assert slope.item() == -1.0


def test_r1_of_a_linear_discriminator_is_its_squared_weight_norm():
    rgb_weight = torch.randn(3, 4, 4, requires_grad=True)
    mask_weight = torch.randn(1, 4, 4, requires_grad=True)

    def discriminator(images, angles):
        return DiscriminatorOutput(
            (images.rgb * rgb_weight).sum(dim=(1, 2, 3)) + angles[:, 0],
            (images.mask * mask_weight).sum(dim=(1, 2, 3)),
        )

    real = Images(torch.randn(5, 3, 4, 4), torch.rand(5, 1, 4, 4))
    penalty = r1_penalty(discriminator, real, torch.rand(5, 2))
    assert torch.allclose(penalty.rgb, rgb_weight.square().sum().expand(5))
    assert torch.allclose(penalty.mask, mask_weight.square().sum().expand(5))
    (slope,) = torch.autograd.grad(penalty.rgb.mean(), rgb_weight)
    assert torch.allclose(slope, 2 * rgb_weight)
    assert not real.rgb.requires_grad  # the caller's images stay untouched
