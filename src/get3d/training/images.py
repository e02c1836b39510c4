"""The real images: in memory where they fit, else read when their turn comes."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from get3d.core import Condition, ImageBatch, Images
from get3d.geometry import CameraDistribution
from get3d.render import Light
from get3d.training.randomness import Purpose, derive_seed, keyed_draws, shuffled_indices


@dataclass(frozen=True)
class TrainingImages:
    """What there is to learn from.

    Attributes:
        read: Gives images by index, on the CPU: colour composited on black (so already
            multiplied by alpha), and alpha.
        angles: Rotation and polar angle of each image's camera, in radians.
        distribution: Where the cameras of fakes are drawn from.
        light: How the objects were lit; None if that is not known.
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
        """Hold all images as bytes."""
        return cls(rgba_u8.__getitem__, angles, distribution, light)

    @property
    def fingerprint(self) -> str:
        """Tells data sets apart by their cameras, whose number and order it depends on."""
        return hashlib.sha256(self.angles.double().numpy().tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.angles)


@dataclass(frozen=True)
class RealImages:
    """Real images as bytes on the CPU.

    Attributes:
        rgba_u8: As `TrainingImages.read` gives them, some perhaps mirrored.
        condition: Of each image.
    """

    rgba_u8: UInt8[Tensor, "n 4 h w"]
    condition: Condition

    def to_batch(
        self, device: torch.device, *, image_size: int, is_binary: bool = False
    ) -> ImageBatch:
        """Convert to what the discriminators take.

        Args:
            device: Where the discriminators are.
            image_size: Side to shrink the images to by averaging, in pixels.
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
    """Read real images by their places in the order in which a run shows them.

    Args:
        images: All there are.
        positions: Images shown before each of them, over the whole run.
        seed: Of the run; the order and the mirroring depend on it and on `positions` alone.
        is_mirrored: Whether half of them, chosen at random, are mirrored.
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
    """Validate that mirrored images could be taken by cameras of the distribution.

    Raises:
        ValueError: If the range of rotations is not its own mirror image.
    """
    low, high = distribution.rotation_deg
    if high - low < 360 and (low + high) % 360:
        raise ValueError(
            f"schedule.mirror needs rotations over the full circle or as far to the left as to the "
            f"right, got {low:g} to {high:g} degrees; set it to false"
        )


def mirror(images: RealImages, flip: Bool[Tensor, " n"]) -> RealImages:
    """Mirror some images: each then shows the object's mirror image (x to -x).

    Args:
        images: With their cameras.
        flip: Which ones. Their cameras' rotation turns its sign; the polar angle stays.
    """
    angles = images.condition.angles
    rotation, polar = angles.unbind(1)
    mirrored = torch.stack([(2 * math.pi - rotation) % (2 * math.pi), polar], 1)
    return RealImages(
        torch.where(flip[:, None, None, None], images.rgba_u8.flip(-1), images.rgba_u8),
        replace(images.condition, angles=torch.where(flip[:, None], mirrored, angles)),
    )
