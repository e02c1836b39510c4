"""Config of a training run: one frozen dataclass per component, published values as defaults.

Sources: the paper's appendix and the authors' release (deviations: docs/deviations.md).
"""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

from get3d.core import FORMERLY, ConfigError, check_bounds, check_literals
from get3d.models import DiscriminatorConfig, GeneratorConfig, TrainingRenderConfig

MAY_CHANGE = "may_change"
"""Metadata key of the fields that may change when a run is resumed: its length, what it writes, and
what stabilises an unstable run. A change of any other field makes it another run."""


_MOST_IMAGES = 10**12
_BOUNDS = {
    "total_images": (1, _MOST_IMAGES),
    "batch_size": (1, 1 << 16),
    "grad_accumulation_steps": (1, 1 << 16),
    "views_per_shape": (1, 1 << 16),
    "log_every_images": (1, _MOST_IMAGES),
    "sample_every_images": (1, _MOST_IMAGES),
    "checkpoint_every_images": (1, _MOST_IMAGES),
    "keep_checkpoints": (1, _MOST_IMAGES),
    "ema_half_life_images": (0, _MOST_IMAGES),
}


def _changeable(default: int | float) -> Any:
    """Make a field that may change when a run is resumed."""
    return field(default=default, metadata={MAY_CHANGE: True})


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the loss terms of generator and discriminators."""

    r1_gamma: float = _changeable(40.0)
    """R1 weight of the RGB discriminator; scale it with pixels over batch (40: 1024 px)."""

    r1_gamma_mask: float = _changeable(40.0)
    """R1 weight of the mask discriminator."""

    r1_interval: int = 16
    """Steps between two R1 penalties (lazy regularisation)."""

    sign_change_weight: float = 0.01
    """Weight of the SDF regulariser, which removes floaters and inner surfaces."""

    roughness_weight: float = 0.0
    """Weight of `geometry.roughness`, the spread of normals about each vertex (published: 0)."""

    empty_weight: float = 1.0
    """Weight of mean |SDF| of shapes that have no surface."""

    flexi_deviation_weight: float = 0.5
    """Weight of the regulariser of iso_surface flexicubes that evens out the mesh: the deviation of
    the distances from crossings to their dual vertex."""

    flexi_magnitude_weight: float = 0.1
    """Weight of the mean size of the raw weights alpha and beta of iso_surface flexicubes."""

    mask_weight: float = 1.0
    """Weight of the mask discriminator in the generator's loss."""

    feature_weight: float = 1.0
    """Weight of the heads on frozen features (discriminator.features) in the generator's loss."""

    adversarial: Literal["logistic", "relativistic"] = "logistic"
    """Loss of the RGB and mask discriminators: logistic (published), or of the differences of real
    and generated logits (relativistic pairing, Jolicoeur-Martineau 2018), against mode dropping."""

    r2: bool = False
    """Add the R1 penalty at generated images too (R2, Mescheder et al. 2018), with R1's weights;
    relativistic pairing needs it to converge (Huang et al. 2024)."""

    real_mask: Literal["binary", "soft"] = "binary"
    """Masks of real images: alpha > 0 (published) or alpha itself."""

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        check_literals(self)
        check_bounds(self, {"r1_interval": (1, 1 << 20)})
        for name in (
            "r1_gamma",
            "r1_gamma_mask",
            "sign_change_weight",
            "roughness_weight",
            "empty_weight",
            "flexi_deviation_weight",
            "flexi_magnitude_weight",
            "mask_weight",
            "feature_weight",
        ):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    f"{name} must not be negative, got {getattr(self, name)}"
                    if getattr(self, name) < 0
                    else f"{name} must be a finite number, got {getattr(self, name)}"
                )


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam, for both networks; the discriminators' is scaled for lazy regularisation."""

    generator_lr: float = _changeable(0.002)
    """Learning rate of the generator."""

    discriminator_lr: float = _changeable(0.002)
    """Learning rate of the discriminators."""

    betas: tuple[float, float] = (0.0, 0.99)
    """Adam's two decay rates."""

    eps: float = 1.0e-8
    """Adam's epsilon."""

    final_lr_factor: float = _changeable(1.0)
    """Learning rates fall linearly to this fraction of themselves over the run; 1 keeps them."""

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        for name in ("generator_lr", "discriminator_lr", "eps"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must lie in [0, 1), got {self.betas}")
        if not 0 <= self.final_lr_factor <= 1:
            raise ConfigError(f"final_lr_factor must lie in [0, 1], got {self.final_lr_factor}")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Length, batches and intervals of a run, counted in real images seen."""

    total_images: int = _changeable(20_000_000)
    """Real images after which the run is finished."""

    batch_size: int = 32
    """Images in one optimiser step."""

    grad_accumulation_steps: int = field(default=1, metadata={FORMERLY: "accumulate"})
    """Chunks that a batch is split into to save memory; gradients are summed over them."""

    views_per_shape: int = 1
    """Images of each generated shape in a batch, each from another camera (published: 1). More are
    cheaper, since tri-planes and surface are shared, but a batch then has fewer shapes."""

    coarse_images: tuple[int, ...] = ()
    """Images seen at lower resolutions before the full one, coarsest first: (20000,) trains with
    half of discriminator.image_size for 20,000 images. R1 is scaled with the pixels."""

    seed: int = 0
    """Seed of all random numbers of the run."""

    style_mixing: float = 0.9
    """Probability of style mixing, for geometry and texture each."""

    reuse_fakes: bool = False
    """Train the discriminators on the generated images of the generator's step instead of new ones
    (published: new ones). Saves one generator pass per step."""

    mirror: bool = False
    """Mirror real images at random, with their camera's rotation, so that left-handed and
    right-handed shapes are equally likely."""

    ema_half_life_images: int = 10_000
    """Half-life of the weight average (EMA), in images."""

    ema_ramp_up: float = 0.05
    """The half-life is at most this fraction of the images seen so far."""

    log_every_images: int = _changeable(1_000)
    """Images between two rows of the log."""

    sample_every_images: int = _changeable(50_000)
    """Images between two contact sheets of samples."""

    checkpoint_every_images: int = _changeable(50_000)
    """Images between two checkpoints; a killed run loses at most so many."""

    keep_checkpoints: int = _changeable(2)
    """Number of newest checkpoints kept in the run folder."""

    def __post_init__(self) -> None:
        """Validate the values; raise ConfigError."""
        check_bounds(self, _BOUNDS)
        if not -(2**63) <= self.seed < 2**63:
            raise ConfigError(f"seed must be a whole number of 64 bits, got {self.seed}")
        if self.batch_size % self.grad_accumulation_steps:
            raise ConfigError(
                "grad_accumulation_steps must divide batch_size, got "
                f"{self.grad_accumulation_steps} and {self.batch_size}"
            )
        if any(num < 1 for num in self.coarse_images):
            raise ConfigError(f"coarse_images must be at least 1 each, got {self.coarse_images}")
        if (self.batch_size // self.grad_accumulation_steps) % self.views_per_shape:
            raise ConfigError(
                "views_per_shape must divide batch_size / grad_accumulation_steps "
                f"({self.batch_size // self.grad_accumulation_steps}), got {self.views_per_shape}"
            )
        for name in ("style_mixing", "ema_ramp_up"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Config of a training run: all that it depends on besides its data."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    rendering: TrainingRenderConfig = field(
        default_factory=TrainingRenderConfig, metadata={FORMERLY: "imaging"}
    )
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        """Validate the coarse resolutions and the images of a chunk; raise ConfigError."""
        size, num_coarse = self.discriminator.image_size, len(self.schedule.coarse_images)
        if size >> num_coarse < 8:
            raise ConfigError(
                f"schedule.coarse_images must have {size.bit_length() - 4} values or fewer, as "
                f"{size} pixels are not halved below 8; got {num_coarse}"
            )
        chunk = self.schedule.batch_size // self.schedule.grad_accumulation_steps
        group = min(self.discriminator.mbstd_group_size, chunk)
        if chunk % group:
            raise ConfigError(
                f"discriminator.mbstd_group_size must divide the {chunk} images of a chunk "
                f"(schedule.batch_size / schedule.grad_accumulation_steps), got {group}"
            )

    def image_size(self, seen_images: int) -> int:
        """Return the width and height of the images of a step, in pixels.

        Args:
            seen_images: Real images seen before the step.
        """
        ends = accumulate(self.schedule.coarse_images)
        return self.discriminator.image_size >> sum(seen_images < end for end in ends)
