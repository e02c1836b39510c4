"""What a run is made of: one frozen dataclass a component, with the published values as defaults.

Sources: the paper's appendix and the authors' release (docs/deviations.md says where we differ).
"""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

from get3d.core import FORMERLY, check_literals
from get3d.models import DiscriminatorConfig, GeneratorConfig, TrainingRenderConfig

MAY_CHANGE = "may_change"
"""Metadata of the fields that may differ from one session of a run to the next: its length, what it
writes, and what mends an unstable run. Everything else makes it another run."""


def _changeable(default: int | float) -> Any:
    """Make a field that may change from one session of a run to the next."""
    return field(default=default, metadata={MAY_CHANGE: True})


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms both networks are trained with."""

    r1_gamma: float = _changeable(40.0)
    """R1 weight of the colour discriminator; scale it with pixels over batch (40: 1024 px)."""

    r1_gamma_mask: float = _changeable(40.0)
    """R1 weight of the silhouette discriminator."""

    r1_interval: int = 16
    """Steps between two R1 penalties (lazy regularisation)."""

    sign_change_weight: float = 0.01
    """Weight of the SDF regulariser, which removes floaters and inner surfaces."""

    roughness_weight: float = 0.0
    """Weight of `geometry.roughness`, the spread of normals about each vertex (published: 0)."""

    empty_weight: float = 1.0
    """Weight of mean |SDF| of shapes that have no surface."""

    flexi_deviation_weight: float = 0.5
    """Weight of the surface regulariser of iso_surface flexicubes, which evens out the mesh: how
    differently far crossings lie from the vertex they make."""

    flexi_magnitude_weight: float = 0.1
    """Weight of the mean size of the raw weights alpha and beta of iso_surface flexicubes."""

    mask_weight: float = 1.0
    """Weight of the silhouette discriminator's verdict in the generator's loss."""

    feature_weight: float = 1.0
    """Weight of the heads on frozen features (discriminator.features) in the generator's loss."""

    real_mask: Literal["binary", "soft"] = "binary"
    """Silhouettes of real images: alpha > 0 (published) or alpha itself."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        check_literals(self)
        if self.r1_interval < 1:
            raise ValueError(f"r1_interval must be at least 1, got {self.r1_interval}")
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
                raise ValueError(
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
    """Learning rates fall linearly to this share of themselves over the run; 1 keeps them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("generator_lr", "discriminator_lr", "eps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), got {self.betas}")
        if not 0 <= self.final_lr_factor <= 1:
            raise ValueError(f"final_lr_factor must lie in [0, 1], got {self.final_lr_factor}")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How long, in what portions, and how often to save. Counted in real images shown."""

    total_images: int = _changeable(20_000_000)
    """Real images after which the run is finished."""

    batch_size: int = 32
    """Images in one optimiser step."""

    grad_accumulation_steps: int = field(default=1, metadata={FORMERLY: "accumulate"})
    """Parts a batch is split into to save memory; gradients are summed over them."""

    views_per_shape: int = 1
    """Images of each generated shape in a batch, from cameras of their own (published: 1). More are
    cheaper, since planes and surface are shared, but a batch then shows fewer shapes."""

    coarse_images: tuple[int, ...] = ()
    """Images shown at lower resolutions before the full one, coarsest first: (20000,) trains with
    half of discriminator.image_size for 20,000 images. R1 is scaled with the pixels."""

    seed: int = 0
    """All randomness of the run derives from it."""

    style_mixing: float = 0.9
    """Probability that a shape's styles are crossed with another's; geometry and texture each."""

    reuse_fakes: bool = False
    """Let the discriminators learn from the images the generator just learned from, instead of new
    ones (published: new ones). Saves one generator pass a step."""

    mirror: bool = False
    """Show real images also mirrored, with the camera's rotation mirrored, so that left-handed
    and right-handed shapes are equally likely."""

    ema_half_life_images: int = 10_000
    """Half-life of the weight average."""

    ema_ramp_up: float = 0.05
    """The half-life is at most this share of the images seen so far."""

    log_every_images: int = _changeable(1_000)
    """Images between two rows of the log."""

    sample_every_images: int = _changeable(50_000)
    """Images between two sample images."""

    checkpoint_every_images: int = _changeable(50_000)
    """Images between two checkpoints; a killed run loses at most so many."""

    keep_checkpoints: int = _changeable(2)
    """Newest checkpoints kept in the run folder."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in (
            "total_images",
            "batch_size",
            "grad_accumulation_steps",
            "views_per_shape",
            "log_every_images",
            "sample_every_images",
            "checkpoint_every_images",
            "keep_checkpoints",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number of 64 bits, got {self.seed}")
        if self.batch_size % self.grad_accumulation_steps:
            raise ValueError(
                "grad_accumulation_steps must divide batch_size, got "
                f"{self.grad_accumulation_steps} and {self.batch_size}"
            )
        if any(num < 1 for num in self.coarse_images):
            raise ValueError(f"coarse_images must be at least 1 each, got {self.coarse_images}")
        if (self.batch_size // self.grad_accumulation_steps) % self.views_per_shape:
            raise ValueError(
                "views_per_shape must divide batch_size / accumulate "
                f"({self.batch_size // self.grad_accumulation_steps}), got {self.views_per_shape}"
            )
        for name in ("style_mixing", "ema_ramp_up"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.ema_half_life_images < 0:
            raise ValueError(
                f"ema_half_life_images must not be negative, got {self.ema_half_life_images}"
            )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything a training run depends on besides its data."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    rendering: TrainingRenderConfig = field(
        default_factory=TrainingRenderConfig, metadata={FORMERLY: "imaging"}
    )
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        """Validate the coarse resolutions and the images of a chunk; raise ValueError."""
        size, num_coarse = self.discriminator.image_size, len(self.schedule.coarse_images)
        if size >> num_coarse < 8:
            raise ValueError(
                f"schedule.coarse_images must have {size.bit_length() - 4} values or fewer, as "
                f"{size} pixels are not halved below 8; got {num_coarse}"
            )
        chunk = self.schedule.batch_size // self.schedule.grad_accumulation_steps
        group = min(self.discriminator.mbstd_group_size, chunk)
        if chunk % group:
            raise ValueError(
                f"discriminator.mbstd_group_size must divide the {chunk} images of a chunk "
                f"(schedule.batch_size / schedule.grad_accumulation_steps), got {group}"
            )

    def image_size(self, seen_images: int) -> int:
        """Side of the images that a step is trained with, in pixels.

        Args:
            seen_images: Real images shown before the step.
        """
        ends = accumulate(self.schedule.coarse_images)
        return self.discriminator.image_size >> sum(seen_images < end for end in ends)
