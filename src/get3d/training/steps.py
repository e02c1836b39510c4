"""The three steps of adversarial training, each on one chunk of a batch.

A step computes losses and adds their gradients to `.grad`; optimisers, averages and the order of
steps are in `get3d.training.trainer`. Formulas are in `get3d.training.losses`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import DiscriminatorOutput, ImageBatch, Images, Styles
from get3d.geometry import roughness
from get3d.models import DiscriminatorPair, Surface
from get3d.training.config import LossConfig
from get3d.training.cuda_graphs import accumulate_gradients
from get3d.training.losses import (
    discriminator_loss,
    generator_loss,
    r1_penalty,
    relativistic_loss,
)

Features = tuple[Tensor, ...]


@dataclass(frozen=True)
class GeneratedBatch:
    """Generated images with their styles and surfaces.

    Attributes:
        batch: Images and their conditions.
        styles: Styles of the shapes, before truncation.
        surface: Surfaces of the shapes.
    """

    batch: ImageBatch
    styles: Styles
    surface: Surface


@dataclass(frozen=True)
class Terms:
    """One scalar per discriminator.

    Attributes:
        rgb: Scalar of the RGB discriminator.
        mask: Scalar of the mask discriminator.
        features: Scalar of the heads on frozen features; None without a frozen network.
    """

    rgb: Float[Tensor, ""]
    mask: Float[Tensor, ""]
    features: Float[Tensor, ""] | None = None

    @classmethod
    def of(
        cls, function: Callable[..., Tensor], *outputs: DiscriminatorOutput, gradient: bool = True
    ) -> "Terms":
        """Average a function of the logits of each discriminator.

        Args:
            function: Elementwise function of the logits of all outputs.
            outputs: Outputs for real or generated images.
            gradient: Whether the scalars keep their graph.
        """

        def mean(name: str) -> Tensor:
            value = function(*(getattr(output, name) for output in outputs)).mean()
            return value if gradient else value.detach()

        has_features = outputs[0].features is not None
        return cls(mean("rgb"), mean("mask"), mean("features") if has_features else None)

    def total(self, *, mask: float = 1.0, features: float = 1.0) -> Float[Tensor, ""]:
        """Sum the terms, with weights of mask and features."""
        total = self.rgb + mask * self.mask
        return total if self.features is None else total + features * self.features

    def detach(self) -> "Terms":
        """Detach the scalars from the autograd graph."""
        features = None if self.features is None else self.features.detach()
        return Terms(self.rgb.detach(), self.mask.detach(), features)

    def named(self, pattern: str) -> dict[str, Tensor]:
        """Return the scalars by their names in the log.

        Args:
            pattern: Format string of the names; `{}` becomes rgb, mask or feature.
        """
        named = {pattern.format("rgb"): self.rgb, pattern.format("mask"): self.mask}
        return (
            named if self.features is None else named | {pattern.format("feature"): self.features}
        )


@dataclass(frozen=True)
class GeneratorLoss:
    """The adversarial loss of the generator and its gradients, without a graph.

    Attributes:
        total: Weighted sum of `terms`.
        terms: Losses of the discriminators.
        logits: Mean logits of the discriminators.
        grad_rgb: Gradient of `total` at the RGB images.
        grad_mask: Gradient of `total` at the masks.
        grad_angles: Gradient of `total` at the cameras' angles; None without camera condition.
        features: Frozen features of the images; empty without a frozen network.
    """

    total: Float[Tensor, ""]
    terms: Terms
    logits: Terms
    grad_rgb: Float[Tensor, "n 3 h w"]
    grad_mask: Float[Tensor, "n 1 h w"]
    grad_angles: Float[Tensor, "n 2"] | None
    features: Features


def adversarial_gradient(
    discriminator: DiscriminatorPair,
    batch: ImageBatch,
    real: ImageBatch | None = None,
    *,
    config: LossConfig,
) -> GeneratorLoss:
    """Compute the generator's adversarial loss and its gradients at the generated images.

    Args:
        discriminator: Discriminators; their parameters get no gradient.
        batch: Generated images.
        real: As many real images; only the relativistic loss needs them.
        config: Weights of the losses.
    """
    rgb = batch.images.rgb.detach().requires_grad_()
    mask = batch.images.mask.detach().requires_grad_()
    angles = batch.condition.angles.detach().requires_grad_()
    _check_unlabelled(batch)
    features = discriminator.project(rgb)
    logits = discriminator(Images(rgb, mask), angles, features)
    terms = Terms.of(generator_loss, logits)
    if real is not None:
        with torch.no_grad():
            true = discriminator.without_features(real.images, real.condition.angles)
        terms = _relativistic(logits, true, features=terms.features)
    total = terms.total(mask=config.mask_weight, features=config.feature_weight)
    grad_rgb, grad_mask, grad_angles = torch.autograd.grad(
        total, (rgb, mask, angles), allow_unused=True
    )
    return GeneratorLoss(
        total.detach(),
        terms.detach(),
        Terms.of(lambda each: each, logits, gradient=False),
        grad_rgb,
        grad_mask,
        grad_angles,
        tuple(each.detach() for each in features),
    )


@dataclass(frozen=True)
class GeneratorStep:
    """Results of `generator_step`.

    Attributes:
        scalars: Scalars to log, by name.
        loss: Total loss.
        features: Frozen features of the images; empty without a frozen network.
    """

    scalars: dict[str, Tensor]
    loss: Float[Tensor, ""]
    features: Features


def generator_step(
    adversarial: Callable[[ImageBatch], GeneratorLoss],
    generated: GeneratedBatch,
    config: LossConfig,
    *,
    weight: float = 1.0,
) -> GeneratorStep:
    """Add the gradients of the generator's loss to `.grad` (paper, equation 3).

    Args:
        adversarial: `adversarial_gradient` of the discriminators.
        generated: Generated images with their graph, which is freed.
        config: Weights of the losses.
        weight: Fraction of this chunk in the batch.
    """
    surface, batch = generated.surface, generated.batch
    loss = adversarial(batch)
    with torch.set_grad_enabled(config.roughness_weight > 0):
        rough = roughness(surface.meshes).mean()
    sign_change = surface.sign_change_loss.mean()
    deviation, magnitude = surface.deviation_loss.mean(), surface.magnitude_loss.mean()
    own = (
        config.sign_change_weight * sign_change
        + config.roughness_weight * rough
        + config.empty_weight * surface.empty_penalty.mean()
        + config.flexi_deviation_weight * deviation
        + config.flexi_magnitude_weight * magnitude
    )
    outputs = [own * weight, batch.images.rgb, batch.images.mask]
    gradients = [None, loss.grad_rgb * weight, loss.grad_mask * weight]
    if batch.condition.angles.requires_grad and loss.grad_angles is not None:
        outputs.append(batch.condition.angles)
        gradients.append(loss.grad_angles * weight)
    torch.autograd.backward(outputs, gradients)
    scalars = {
        **loss.terms.named("generator/{}_loss"),
        "generator/sign_change_loss": sign_change.detach(),
        "generator/roughness": rough.detach(),
        "generator/empty_shapes": surface.is_fallback.float().mean(),
        "generator/coverage": batch.images.mask.detach().mean(),
        **loss.logits.named("fake/{}_logit"),
    }
    if surface.is_dual:
        scalars["generator/flexi_deviation_loss"] = deviation.detach()
        scalars["generator/flexi_magnitude_loss"] = magnitude.detach()
    return GeneratorStep(scalars, loss.total + own.detach(), loss.features)


@dataclass(frozen=True)
class DiscriminatorLoss:
    """A loss of the discriminators, without a graph.

    Attributes:
        total: Weighted sum of `terms`.
        terms: Unweighted losses of the discriminators.
        logits: Mean logits of real images; None in a step without logits.
    """

    total: Float[Tensor, ""]
    terms: Terms
    logits: Terms | None = None


def discriminator_step(
    discriminator: DiscriminatorPair,
    generated: ImageBatch,
    real: ImageBatch,
    features: Features = (),
    *,
    config: LossConfig,
    weight: float = 1.0,
) -> DiscriminatorLoss:
    """Add the gradients of the discriminators' loss to `.grad`.

    Args:
        discriminator: Discriminators to train.
        generated: Generated images, without a graph.
        real: As many real images.
        features: Frozen features of the generated images; empty to compute them.
        config: Kind of loss.
        weight: Fraction of this chunk in the batch.
    """
    _check_unlabelled(generated)
    _check_unlabelled(real)
    fake_features, real_features = _frozen_features(discriminator, generated, real, features)
    fake = discriminator(generated.images, generated.condition.angles, fake_features)
    true = discriminator(real.images, real.condition.angles, real_features)
    terms = Terms.of(discriminator_loss, true, fake)
    if config.adversarial == "relativistic":
        terms = _relativistic(true, fake, features=terms.features)
    total = terms.total()
    accumulate_gradients(total * weight, trained_parameters(discriminator))
    logits = Terms.of(lambda each: each, true, gradient=False)
    return DiscriminatorLoss(total.detach(), terms.detach(), logits)


def r1_step(
    discriminator: DiscriminatorPair,
    real: ImageBatch,
    generated: ImageBatch | None = None,
    *,
    config: LossConfig,
    weight: float = 1.0,
) -> DiscriminatorLoss:
    """Add the gradients of the R1 penalty to `.grad`, times the interval (lazy regularisation).

    The penalty is scaled with the number of pixels: at half the resolution, the weight of the full
    one would be four times too large.

    Args:
        discriminator: Discriminators; the heads on frozen features have no penalty.
        real: Real images.
        generated: Generated images, which are penalised too (R2); None: they are not.
        config: R1 weights and interval.
        weight: Fraction of this chunk in the batch.
    """
    _check_unlabelled(real)
    penalty = r1_penalty(discriminator.without_features, real.images, real.condition.angles)
    terms = Terms(penalty.rgb.mean(), penalty.mask.mean())
    if generated is not None:
        images, angles = generated.images, generated.condition.angles
        penalty = r1_penalty(discriminator.without_features, images, angles)
        terms = Terms(terms.rgb + penalty.rgb.mean(), terms.mask + penalty.mask.mean())
    total = terms.rgb * (config.r1_gamma / 2) + terms.mask * (config.r1_gamma_mask / 2)
    scale = (real.images.mask.shape[-1] / discriminator.config.image_size) ** 2
    accumulate_gradients(
        total * (config.r1_interval * scale * weight), trained_parameters(discriminator)
    )
    return DiscriminatorLoss(total.detach(), terms.detach())


def _relativistic(
    higher: DiscriminatorOutput, lower: DiscriminatorOutput, *, features: Tensor | None
) -> Terms:
    """Average the relativistic losses of both discriminators; the feature heads keep theirs."""
    return Terms(
        relativistic_loss(higher.rgb, lower.rgb).mean(),
        relativistic_loss(higher.mask, lower.mask).mean(),
        features,
    )


def trained_parameters(discriminator: DiscriminatorPair) -> list[torch.nn.Parameter]:
    """List the parameters of the discriminators that are not frozen."""
    return [parameter for parameter in discriminator.parameters() if parameter.requires_grad]


@torch.no_grad()
def _frozen_features(
    discriminator: DiscriminatorPair, generated: ImageBatch, real: ImageBatch, known: Features
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Compute frozen features of generated and real images; none without a frozen network."""
    if discriminator.features is None:
        return (), ()
    if known:
        return known, discriminator.project(real.images.rgb)
    both = discriminator.project(torch.cat([generated.images.rgb, real.images.rgb]))
    halves = [level.chunk(2) for level in both]
    return [half[0] for half in halves], [half[1] for half in halves]


def _check_unlabelled(batch: ImageBatch) -> None:
    """Raise ValueError if there are labels, which no discriminator takes yet."""
    if batch.condition.label is not None:
        raise ValueError("labels are given, but the discriminators are not conditioned on labels")
