"""The real images of training: in memory, or read when they are needed."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from get3d.core import Condition, ConfigError, ImageBatch, Images
from get3d.geometry import CameraDistribution
from get3d.render import Light
from get3d.training.randomness import Purpose, derive_seed, keyed_draws, shuffled_indices


@dataclass(frozen=True)
class TrainingImages:
    """A data set of real images with their cameras.

    Attributes:
        read: Returns images by index, on the CPU: RGB composited on black (so multiplied by
            alpha), and alpha.
        angles: Rotation and polar angle of each image's camera, in radians.
        distribution: Camera distribution, from which cameras of generated images are sampled.
        light: Light that the objects were rendered with; None if unknown.
        labels: Class of each image; None without classes.
    """

    read: Callable[[Int[Tensor, " n"]], UInt8[Tensor, "n 4 h w"]]
    angles: Float[Tensor, "images 2"]
    distribution: CameraDistribution
    light: Light | None = None
    labels: Int[Tensor, " images"] | None = None

    @classmethod
    def in_memory(
        cls,
        rgba_u8: UInt8[Tensor, "images 4 h w"],
        angles: Float[Tensor, "images 2"],
        distribution: CameraDistribution,
        light: Light | None = None,
    ) -> "TrainingImages":
        """Make a data set of images in memory.

        Args:
            rgba_u8: All images as bytes, RGB multiplied by alpha.
            angles: Rotation and polar angle of each image's camera, in radians.
            distribution: Camera distribution.
            light: Light that the objects were rendered with; None if unknown.
        """
        return cls(rgba_u8.__getitem__, angles, distribution, light)

    @property
    def fingerprint(self) -> str:
        """Hash of the cameras, 16 hexadecimal digits: identifies a data set."""
        return hashlib.sha256(self.angles.double().numpy().tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.angles)


@dataclass(frozen=True)
class RealImages:
    """Real images as bytes on the CPU.

    Attributes:
        rgba_u8: Images from `TrainingImages.read`, some possibly mirrored.
        condition: Conditions of the images.
    """

    rgba_u8: UInt8[Tensor, "n 4 h w"]
    condition: Condition

    def to_batch(
        self, device: torch.device, *, image_size: int, is_binary: bool = False
    ) -> ImageBatch:
        """Convert to the input of the discriminators.

        Args:
            device: Device of the discriminators.
            image_size: Width and height to average the images down to, in pixels.
            is_binary: Whether masks are alpha > 0 (published) instead of alpha itself.
        """
        rgba = self.rgba_u8.to(device).float() / 255.0
        rgba = F.avg_pool2d(rgba, rgba.shape[-1] // image_size)
        mask = rgba[:, 3:]
        if is_binary:
            mask = (mask > 0).float()
        label = None if self.condition.label is None else self.condition.label.to(device)
        condition = Condition(self.condition.angles.to(device), label)
        return ImageBatch(Images(rgba[:, :3] * 2 - 1, mask), condition)


def read_images(
    images: TrainingImages, positions: Int[Tensor, " n"], *, seed: int, is_mirrored: bool
) -> RealImages:
    """Read real images by their positions in the shuffled sequence of a run.

    Args:
        images: The data set.
        positions: Positions in the sequence, counted over the whole run.
        seed: Seed of the run; order and mirroring depend only on it and on `positions`.
        is_mirrored: Mirror each image with probability 1/2.
    """
    picked = shuffled_indices(len(images), seed=seed, positions=positions)
    label = None if images.labels is None else images.labels[picked]
    found = RealImages(images.read(picked), Condition(images.angles[picked], label))
    if not is_mirrored:
        return found
    seed = derive_seed(seed, Purpose.MIRROR)
    flip = keyed_draws(lambda rng: torch.rand((), generator=rng) < 0.5, seed, positions)
    return mirror(found, flip)


def check_mirror(distribution: CameraDistribution) -> None:
    """Validate that mirrored cameras are of the same distribution.

    Raises:
        ConfigError: If the range of rotations is not its own mirror image.
    """
    low, high = distribution.rotation_deg
    if high - low < 360 and (low + high) % 360:
        raise ConfigError(
            f"schedule.mirror needs rotations over the full circle or as far to the left as to the "
            f"right, got {low:g} to {high:g} degrees; set it to false"
        )


def mirror(images: RealImages, flip: Bool[Tensor, " n"]) -> RealImages:
    """Mirror some images, which then show the mirrored object (x to -x).

    Args:
        images: Images with their cameras.
        flip: Whether to mirror each image. The rotation of its camera is negated; the polar angle
            is kept.
    """
    angles = images.condition.angles
    rotation, polar = angles.unbind(1)
    mirrored = torch.stack([(2 * math.pi - rotation) % (2 * math.pi), polar], 1)
    return RealImages(
        torch.where(flip[:, None, None, None], images.rgba_u8.flip(-1), images.rgba_u8),
        replace(images.condition, angles=torch.where(flip[:, None], mirrored, angles)),
    )
