"""The real pictures: in memory where they fit, else read when their turn comes."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from get3d.core import Images
from get3d.geometry import CameraDistribution
from get3d.render import Light
from get3d.training.config import RunConfig
from get3d.training.randomness import shuffled_indices, step_generator

_MIRROR_STREAM = 3  # of randomness; 0 to 2 are the trainer's


@dataclass(frozen=True)
class TrainingImages:
    """What there is to learn from.

    Attributes:
        read: Gives pictures by index, on the CPU: colour composited on black (so already
            multiplied by alpha), and alpha.
        angles: Rotation and polar angle of each picture's camera, in radians.
        distribution: Where the cameras of fakes are drawn from.
        light: How the objects were lit; None if that is not known.
    """

    read: Callable[[Int[Tensor, " n"]], UInt8[Tensor, "n 4 h w"]]
    angles: Float[Tensor, "images 2"]
    distribution: CameraDistribution
    light: Light | None = None

    @classmethod
    def in_memory(
        cls,
        rgba_u8: UInt8[Tensor, "images 4 h w"],
        angles: Float[Tensor, "images 2"],
        distribution: CameraDistribution,
        light: Light | None = None,
    ) -> "TrainingImages":
        """Hold all pictures as bytes."""
        return cls(rgba_u8.__getitem__, angles, distribution, light)

    @property
    def fingerprint(self) -> str:
        """Tells data sets apart by their cameras, whose number and order it depends on."""
        return hashlib.sha256(self.angles.double().numpy().tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.angles)


@dataclass(frozen=True)
class JudgedImages:
    """Pictures and the cameras the judges are told they were taken with.

    Attributes:
        images: Real or generated.
        angles: Rotation and polar angle, in radians.
    """

    images: Images
    angles: Float[Tensor, "n 2"]

    @classmethod
    def of(cls, rgb: Tensor, mask: Tensor, angles: Tensor) -> "JudgedImages":
        """Put the three `tensors` together again."""
        return cls(Images(rgb, mask), angles)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Colours, silhouettes and angles."""
        return self.images.rgb, self.images.mask, self.angles

    def detach(self) -> "JudgedImages":
        """Cut the pictures from the graph of the generator."""
        return JudgedImages(
            Images(self.images.rgb.detach(), self.images.mask.detach()), self.angles
        )


@dataclass(frozen=True)
class RealBatch:
    """The real pictures of one step, as bytes on the CPU.

    Attributes:
        rgba_u8: As `TrainingImages.read` gives them, some perhaps mirrored.
        angles: Their cameras' rotation and polar angle, in radians.
    """

    rgba_u8: UInt8[Tensor, "n 4 h w"]
    angles: Float[Tensor, "n 2"]

    def portions(
        self, config: RunConfig, device: torch.device, *, image_size: int
    ) -> Iterator[JudgedImages]:
        """Move the images to the discriminators' device, one chunk of the config at a time.

        Args:
            config: Of the run.
            device: Where the discriminators are.
            image_size: Side to shrink the images to by averaging, in pixels.
        """
        num = config.schedule.accumulate
        for rgba_u8, angles in zip(self.rgba_u8.chunk(num), self.angles.chunk(num), strict=True):
            rgba = rgba_u8.to(device).float() / 255.0
            rgba = F.avg_pool2d(rgba, rgba.shape[-1] // image_size)
            mask = rgba[:, 3:]
            if config.loss.real_mask == "binary":
                mask = (mask > 0).float()
            yield JudgedImages(Images(rgba[:, :3] * 2 - 1, mask), angles.to(device))


def read_batch(images: TrainingImages, config: RunConfig, step_index: int) -> RealBatch:
    """Read the pictures of a step; which ones they are depends on the seed and the step alone."""
    schedule = config.schedule
    picked = shuffled_indices(
        len(images),
        seed=schedule.seed,
        start=step_index * schedule.batch_size,
        count=schedule.batch_size,
    )
    batch = RealBatch(images.read(picked), images.angles[picked])
    if not schedule.mirror:
        return batch
    rng = step_generator(schedule.seed, _MIRROR_STREAM, step_index, torch.device("cpu"))
    return mirror(batch, torch.rand(schedule.batch_size, generator=rng) < 0.5)


def check_mirror(distribution: CameraDistribution) -> None:
    """Refuse to mirror pictures whose cameras no fake could have.

    Raises:
        ValueError: If the range of rotations is not its own mirror image.
    """
    low, high = distribution.rotation_deg
    if high - low < 360 and (low + high) % 360:
        raise ValueError(
            f"schedule.mirror needs rotations over the full circle or as far to the left as to the "
            f"right, got {low:g} to {high:g} degrees; set it to false"
        )


def mirror(batch: RealBatch, flip: Bool[Tensor, " n"]) -> RealBatch:
    """Mirror some pictures: each then shows the object's mirror image (x to -x).

    Args:
        batch: Pictures and cameras.
        flip: Which ones. Their cameras' rotation turns its sign; the polar angle stays.
    """
    rotation, polar = batch.angles.unbind(1)
    mirrored = torch.stack([(2 * math.pi - rotation) % (2 * math.pi), polar], 1)
    return RealBatch(
        torch.where(flip[:, None, None, None], batch.rgba_u8.flip(-1), batch.rgba_u8),
        torch.where(flip[:, None], mirrored, batch.angles),
    )
