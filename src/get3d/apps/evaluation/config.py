"""What is measured, and how: the published protocol by default."""

from dataclasses import dataclass, field
from typing import Literal

from get3d.geometry import CameraDistribution

Metric = Literal["cd", "lfd", "fd"]
METRICS: tuple[Metric, ...] = ("cd", "lfd", "fd")
PUBLISHED_RATIO, PUBLISHED_IMAGES = 5, 50_000


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Which shapes are compared with which, by what, how many of them."""

    metrics: tuple[Metric, ...] = METRICS
    """cd: Chamfer distance; lfd: light-field distance; fd: Frechet and kernel distance, precision
    and recall of picture features."""

    features: str = "inception"
    """Features for fd: inception (the FID's weights from PyTorch's cache), a path to those weights,
    or shapes (the network that ships with get3d; its scores are called fd_shapes, not FID)."""

    num_shapes: int | None = None
    """Shapes to generate; None: five times as many as there are references (published)."""

    num_images: int = PUBLISHED_IMAGES
    """Pictures of generated shapes for fd, spread evenly over them."""

    reference_views: int = 24
    """Pictures of each reference shape for fd."""

    reference: str = "test"
    """Folder in DATA that holds the reference shapes."""

    training: str = "train"
    """Folder in DATA that holds the training shapes, for the oracles and the copying check."""

    num_training: int | None = None
    """Training shapes to look for copies in; None: all of them."""

    seed: int = 0
    """Of latent codes, points and cameras."""

    truncation: float = 1.0
    """1 is published; less gives more typical shapes and worse coverage."""

    style_mixing: float = 0.9
    """Probability of crossing two shapes' styles, as in training (published)."""

    texture_size: int = 512
    """Of exported textures."""

    image_size: int = 128
    """Side of the pictures, in pixels."""

    longest_side: float = 0.9
    """What reference shapes are scaled to for pictures, as for `get3d render`."""

    light: Literal["studio", "none"] = "studio"
    """How references and training shapes are lit for pictures, as for `get3d render`."""

    generated_light: Literal["studio", "none"] = "none"
    """How the files of --meshes are lit: none where their textures hold the light already, as those
    of models that learnt from lit pictures do."""

    supersample: int = 3
    """Samples along each side of a pixel."""

    cameras: CameraDistribution = field(
        default_factory=lambda: CameraDistribution(radius=1.2, fovy_deg=49.13)
    )
    """From where pictures are taken."""

    def __post_init__(self) -> None:
        """Refuse what gives no score."""
        if not self.metrics:
            raise ValueError(f"metrics: name at least one of {', '.join(METRICS)}")
        for name in ("num_images", "reference_views", "image_size", "supersample", "texture_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("num_shapes", "num_training"):
            value = getattr(self, name)
            if value is not None and value < 2:
                raise ValueError(f"{name} must be at least 2, got {value}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.style_mixing <= 1:
            raise ValueError(f"style_mixing must lie in [0, 1], got {self.style_mixing}")
        if self.longest_side <= 0:
            raise ValueError(f"longest_side must be positive, got {self.longest_side}")


def deviations(config: EvaluationConfig, num_generated: int, num_reference: int) -> list[str]:
    """Say where an evaluation differs from the published protocol; empty if nowhere."""
    found = []
    if num_generated != PUBLISHED_RATIO * num_reference:
        found.append(
            f"{num_generated} generated shapes for {num_reference} references "
            f"(published: {PUBLISHED_RATIO} for each)"
        )
    if "fd" in config.metrics:
        if config.num_images < PUBLISHED_IMAGES:
            found.append(f"{config.num_images} pictures (published: {PUBLISHED_IMAGES})")
        if config.features == "shapes":
            found.append("features of get3d's shape network (published: Inception)")
    if config.truncation != 1:
        found.append(f"truncation {config.truncation:g} (published: 1)")
    if config.style_mixing != 0.9:
        found.append(f"style mixing {config.style_mixing:g} (published: 0.9)")
    return found
