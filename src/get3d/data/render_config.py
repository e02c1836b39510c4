"""Settings of the rendering of training images."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from get3d.core import ConfigError, check_bounds, check_literals, is_plain_name
from get3d.data.image_files import MAX_IMAGE_SIZE
from get3d.data.object_names import NameFrom
from get3d.geometry.cameras import CameraDistribution, uncropped_side

# Settings that may change between two runs into the same folder, as images do not depend on them.
_NOT_IN_IMAGES = (
    "category",
    "name_from",
    "split_lists",
    "val_fraction",
    "test_fraction",
    "workers",
)
_NEAR = 0.1


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """Settings of `render_dataset`; the defaults are those of the published data but for the size.

    Without a longest side, it is the largest at which no image cuts off a corner of any box.

    Attributes:
        views: Images of each object.
        size: Width and height of the images, in pixels.
        longest_side: Longest side to which the box of each object is scaled, in scene units
            (published: 0.9, which cuts off some objects).
        distribution: Camera distribution.
        light: studio is a hemisphere light and a light at the camera; none shows plain colours and
            emitted light.
        supersample: Samples per pixel along each axis, for antialiasing.
        cull_backfaces: Leave out the back of faces where a material is single-sided (glTF
            `doubleSided`), as viewers do; many files are single-sided by mistake, so that holes
            appear.
        up_axis: Up axis of the files; many PLY and STL files have z up.
        seed: Random seed.
        category: First part of each object's name.
        name_from: Second part: the name of the file, of its folder, the path below the named
            folder, or (auto) the file, and where several have one name the folders in which they
            differ.
        split_lists: Folder with train.txt, val.txt and test.txt, or CSV file (ShapeNet's all.csv),
            that give objects their splits by name; unlisted objects are for training.
        val_fraction: Fraction of the objects in the validation split.
        test_fraction: Fraction of the objects in the test split.
        workers: Processes on a CPU; one per core if left out.
    """

    views: int = 24
    size: int = 128
    longest_side: float | None = None
    distribution: CameraDistribution = field(
        default_factory=lambda: CameraDistribution(radius=1.2, fovy_deg=49.13)
    )
    light: Literal["studio", "none"] = "studio"
    supersample: int = 4
    cull_backfaces: bool = False
    up_axis: Literal["y", "z"] = "y"
    seed: int = 0
    category: str = "objects"
    name_from: NameFrom = "auto"
    split_lists: str | None = None
    val_fraction: float = 0.0
    test_fraction: float = 0.1
    workers: int | None = None

    def __post_init__(self) -> None:
        """Validate the settings; raise ConfigError."""
        check_literals(self)
        # 8 pixels are the least that can be learned from.
        check_bounds(
            self, {"views": (1, 100_000), "size": (8, MAX_IMAGE_SIZE), "supersample": (1, 16)}
        )
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        if not 0 < self.side < math.inf:
            raise ConfigError(f"longest_side must be positive, got {self.longest_side}")
        corner = self.side * math.sqrt(3) / 2
        if self.distribution.radius < corner + _NEAR:
            raise ConfigError(
                f"distribution.radius must be at least {corner + _NEAR:.2f}, outside any object "
                f"with longest side {self.side}, got {self.distribution.radius}"
            )
        is_usable = self.val_fraction >= 0 and self.test_fraction >= 0
        if not is_usable or not self.val_fraction + self.test_fraction < 1:
            raise ConfigError(
                "val_fraction and test_fraction must not be negative and must leave objects to "
                f"train on, got {self.val_fraction} and {self.test_fraction}"
            )
        if not is_plain_name(self.category) or self.category.startswith("."):
            raise ConfigError(f"category must be a plain folder name, got {self.category!r}")

    @property
    def side(self) -> float:
        """Longest side of each object's box: the given one, or the one that the cameras allow."""
        return uncropped_side(self.distribution) if self.longest_side is None else self.longest_side


def image_differences(old: RenderConfig, new: RenderConfig) -> list[str]:
    """List differences of settings that images depend on.

    Args:
        old: Settings that a folder was rendered with.
        new: Settings of a run that resumes in that folder.

    Returns:
        One "name: old value, now new value" for each difference.
    """
    return [
        f"{item.name}: {getattr(old, item.name)}, now {getattr(new, item.name)}"
        for item in fields(RenderConfig)
        if item.name not in _NOT_IN_IMAGES and getattr(old, item.name) != getattr(new, item.name)
    ]
