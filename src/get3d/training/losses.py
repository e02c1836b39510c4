"""The adversarial losses and the R1 penalty (paper, section 3.3; Mescheder et al. 2018).

Every function returns one value an image or patch, so that the caller decides how to average and
log.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from get3d.core import DiscriminatorOutput, Images


def generator_loss(logits: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Non-saturating loss: small when the judge takes the fakes for real."""
    return softplus(-logits)


def discriminator_loss(
    real_logits: Float[Tensor, "*n"], fake_logits: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """Logistic loss: small when real logits are high and fake ones low."""
    return softplus(-real_logits) + softplus(fake_logits)


@dataclass(frozen=True)
class R1Penalty:
    """Squared gradient norms of the logits with respect to the real images, one an image.

    Attributes:
        rgb: Of the colour discriminator.
        mask: Of the silhouette discriminator.
    """

    rgb: Float[Tensor, " n"]
    mask: Float[Tensor, " n"]


def r1_penalty(
    discriminator: Callable[[Images, Tensor], DiscriminatorOutput],
    real: Images,
    angles: Float[Tensor, "n 2"],
) -> R1Penalty:
    """Squared norm of each judge's gradient at real images.

    One backward pass serves both judges: the colour judge reads `rgb`, the other `mask` (where the
    colour judge sees the mask as well, its gradient there counts with the other's). The result
    keeps its graph, so it can be differentiated again.

    Args:
        discriminator: Of colour and of silhouette (`DiscriminatorPair.without_features`).
        real: Real images.
        angles: Their cameras' rotation and polar angle, in radians.
    """
    leaf = Images(real.rgb.detach().requires_grad_(), real.mask.detach().requires_grad_())
    logits = discriminator(leaf, angles)
    total = logits.rgb.sum() + logits.mask.sum()
    grad_rgb, grad_mask = torch.autograd.grad(total, (leaf.rgb, leaf.mask), create_graph=True)
    return R1Penalty(
        rgb=grad_rgb.square().sum(dim=(1, 2, 3)), mask=grad_mask.square().sum(dim=(1, 2, 3))
    )
