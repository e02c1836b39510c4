"""What is measured, and how: the published protocol by default."""

import math
from dataclasses import dataclass, field
from typing import Literal

from get3d.core import check_literals
from get3d.geometry import CameraDistribution

Metric = Literal["cd", "lfd", "fd"]
METRICS: tuple[Metric, ...] = ("cd", "lfd", "fd")
PUBLISHED_RATIO, PUBLISHED_IMAGES, PUBLISHED_SIZE, PUBLISHED_VIEWS = 5, 50_000, 1024, 24
_LEAST = {
    "num_images": 8,
    "reference_views": 1,
    "image_size": 8,
    "supersample": 1,
    "texture_size": 16,
}


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

    label: str = "kind"
    """The MMD (CD) is also given for the references of each value of this label, where `get3d
    shapes` made them: kind of vessels and vehicles, or say base of chairs."""

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
    """How references and training shapes are lit for pictures, as for `get3d render`; so are shapes
    of a model whose colours hold no light (is_unlit in its config.yaml)."""

    generated_light: Literal["studio", "none"] = "none"
    """How the files of --meshes are lit: none where their textures hold the light already, as those
    of models that learnt from lit pictures do; studio where they are base colours."""

    up_axis: Literal["y", "z"] = "y"
    """Which axis of references and training shapes points up, as for `get3d render`."""

    generated_up_axis: Literal["y", "z"] = "y"
    """Likewise, of the files of --meshes."""

    supersample: int = 4
    """Samples along each side of a pixel."""

    cameras: CameraDistribution = field(
        default_factory=lambda: CameraDistribution(radius=1.2, fovy_deg=49.13)
    )
    """From where pictures are taken."""

    def __post_init__(self) -> None:
        """Refuse what gives no score."""
        check_literals(self)
        if not self.metrics or not set(self.metrics) <= set(METRICS):
            raise ValueError(
                f"metrics: name at least one of {', '.join(METRICS)}, got {list(self.metrics)}"
            )
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.num_shapes is not None and self.num_shapes < 2:
            raise ValueError(f"num_shapes must be at least 2, got {self.num_shapes}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.style_mixing <= 1:
            raise ValueError(f"style_mixing must lie in [0, 1], got {self.style_mixing}")
        if not 0 < self.longest_side < math.inf:
            raise ValueError(f"longest_side must be positive, got {self.longest_side}")
        if not math.isfinite(self.truncation):
            raise ValueError(f"truncation must be a number, got {self.truncation}")


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
        if config.image_size != PUBLISHED_SIZE:
            found.append(f"pictures of {config.image_size} pixels (published: {PUBLISHED_SIZE})")
        if config.reference_views != PUBLISHED_VIEWS:
            found.append(f"{config.reference_views} views a reference (published: 24 for most)")
        if config.features == "shapes":
            found.append("features of get3d's shape network (published: Inception)")
    if config.truncation != 1:
        found.append(f"truncation {config.truncation:g} (published: 1)")
    if config.style_mixing != 0.9:
        found.append(f"style mixing {config.style_mixing:g} (published: 0.9)")
    return found
