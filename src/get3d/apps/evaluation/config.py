"""Settings of an evaluation, the published protocol by default."""

import math
from dataclasses import dataclass, field
from typing import Literal

from get3d.apps.model import check_truncation
from get3d.core import ConfigError, check_literals
from get3d.geometry import CameraDistribution

Metric = Literal["cd", "lfd", "fd"]
LightName = Literal["studio", "none"]
UpAxis = Literal["y", "z"]
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
    """Settings of an evaluation."""

    metrics: tuple[Metric, ...] = METRICS
    """cd: Chamfer distance; lfd: light-field distance; fd: Frechet and kernel distance, precision
    and recall of image features."""

    features: str = "inception"
    """Features for fd: inception (the FID's weights from PyTorch's cache), a path to those weights,
    or shapes (the network that ships with get3d; its scores are called fd_shapes, not FID)."""

    num_shapes: int | None = None
    """Shapes to generate; None: five times as many as there are references (published)."""

    num_images: int = PUBLISHED_IMAGES
    """Images of generated shapes for fd, divided evenly among them."""

    reference_views: int = 24
    """Images of each reference shape for fd."""

    reference: str = "test"
    """Folder in DATA that holds the reference shapes."""

    training: str = "train"
    """Folder in DATA that holds the training shapes, for the oracles and the search for copies."""

    label: str = "kind"
    """Label by which MMD (CD) is also reported, if `get3d shapes` made the references: kind of
    vessels and vehicles, or for example base of chairs."""

    seed: int = 0
    """Random seed."""

    truncation: float = 1.0
    """1 is the full variety of the model; smaller values stay nearer to its average shape."""

    style_mixing: float = 0.9
    """Probability of style mixing, as in training (published)."""

    texture_size: int = 512
    """Width and height of the textures, in texels."""

    image_size: int = 128
    """Width and height of images and videos, in pixels."""

    longest_side: float = 0.9
    """Longest side to which the box of each object is scaled, in scene units (published: 0.9, which
    cuts off some objects)."""

    light: LightName = "studio"
    """studio is a hemisphere light and a light at the camera; none shows plain colours and emitted
    light."""

    generated_light: LightName = "none"
    """Light on the files of --meshes: none if their textures contain the light already, as those
    of models trained on lit images do; studio if they are base colours."""

    up_axis: UpAxis = "y"
    """Up axis of the files; many PLY and STL files have z up."""

    generated_up_axis: UpAxis = "y"
    """Up axis of the files of --meshes."""

    cull_backfaces: bool = False
    """Leave out the back of faces where a material is single-sided (glTF `doubleSided`), as viewers
    do; many files are single-sided by mistake, so that holes appear."""

    supersample: int = 4
    """Samples per pixel along each axis, for antialiasing."""

    cameras: CameraDistribution = field(
        default_factory=lambda: CameraDistribution(radius=1.2, fovy_deg=49.13)
    )
    """Cameras of the images."""

    def __post_init__(self) -> None:
        """Validate the settings; raise ConfigError."""
        check_literals(self)
        if not self.metrics or not set(self.metrics) <= set(METRICS):
            raise ConfigError(
                f"metrics: name at least one of {', '.join(METRICS)}, got {list(self.metrics)}"
            )
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.num_shapes is not None and self.num_shapes < 2:
            raise ConfigError(f"num_shapes must be at least 2, got {self.num_shapes}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.style_mixing <= 1:
            raise ConfigError(f"style_mixing must lie in [0, 1], got {self.style_mixing}")
        if not 0 < self.longest_side < math.inf:
            raise ConfigError(f"longest_side must be positive, got {self.longest_side}")
        check_truncation(self.truncation)


def deviations(config: EvaluationConfig, num_generated: int, num_reference: int) -> list[str]:
    """List the deviations of an evaluation from the published protocol."""
    has_images = "fd" in config.metrics
    checks = [
        (
            num_generated != PUBLISHED_RATIO * num_reference,
            f"{num_generated} generated shapes for {num_reference} references "
            f"(published: {PUBLISHED_RATIO} for each)",
        ),
        (
            has_images and config.num_images < PUBLISHED_IMAGES,
            f"{config.num_images} images (published: {PUBLISHED_IMAGES})",
        ),
        (
            has_images and config.image_size != PUBLISHED_SIZE,
            f"images of {config.image_size} pixels (published: {PUBLISHED_SIZE})",
        ),
        (
            has_images and config.reference_views != PUBLISHED_VIEWS,
            f"{config.reference_views} views a reference (published: 24 for most)",
        ),
        (
            has_images and config.features == "shapes",
            "features of get3d's shape network (published: Inception)",
        ),
        (config.truncation != 1, f"truncation {config.truncation:g} (published: 1)"),
        (config.style_mixing != 0.9, f"style mixing {config.style_mixing:g} (published: 0.9)"),
    ]
    return [text for differs, text in checks if differs]
