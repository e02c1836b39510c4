"""The adversarial losses and the gradient penalty (paper, section 3.2; Mescheder et al. 2018).

Every function returns one value per image or patch; the caller averages and logs them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from get3d.core import DiscriminatorOutput, Images


def generator_loss(logits: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Compute the non-saturating logistic loss of the generator.

    Args:
        logits: Logits of generated images.
    """
    return softplus(-logits)


def discriminator_loss(
    real_logits: Float[Tensor, "*n"], fake_logits: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """Compute the logistic loss of the discriminator.

    Args:
        real_logits: Logits of real images.
        fake_logits: Logits of generated images.
    """
    return softplus(-real_logits) + softplus(fake_logits)


def relativistic_loss(
    higher: Float[Tensor, "*n"], lower: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """Compute the loss of pairs of logits, each of a real and a generated image.

    The discriminator's loss has the real logits as `higher`, the generator's the generated ones
    (Jolicoeur-Martineau 2018, with the pairing of Huang et al. 2024).

    Args:
        higher: Logits that the loss pushes up.
        lower: Logits of the others of the pairs.
    """
    return softplus(lower - higher)


@dataclass(frozen=True)
class R1Penalty:
    """R1 penalties: squared norms of the logits' gradients at the real images, one per image.

    Attributes:
        rgb: Penalty of the RGB discriminator.
        mask: Penalty of the mask discriminator.
    """

    rgb: Float[Tensor, " n"]
    mask: Float[Tensor, " n"]


def r1_penalty(
    discriminator: Callable[[Images, Tensor], DiscriminatorOutput],
    real: Images,
    angles: Float[Tensor, "n 2"],
) -> R1Penalty:
    """Compute the R1 penalty of each discriminator: its squared gradient norm at real images.

    At generated images it is R2 (Mescheder et al. 2018).

    One backward pass serves both, since one takes `rgb` and the other `mask`. Where the RGB
    discriminator takes the mask too (`rgb_sees_mask`), its gradient there counts in `mask`. The
    result keeps its graph, so that it can be differentiated again.

    Args:
        discriminator: RGB and mask discriminators (`DiscriminatorPair.without_features`).
        real: Real images.
        angles: Rotation and polar angle of their cameras, in radians.
    """
    leaf = Images(real.rgb.detach().requires_grad_(), real.mask.detach().requires_grad_())
    logits = discriminator(leaf, angles)
    total = logits.rgb.sum() + logits.mask.sum()
    grad_rgb, grad_mask = torch.autograd.grad(total, (leaf.rgb, leaf.mask), create_graph=True)
    return R1Penalty(
        rgb=grad_rgb.square().sum(dim=(1, 2, 3)), mask=grad_mask.square().sum(dim=(1, 2, 3))
    )
