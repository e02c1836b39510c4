"""Out-of-memory messages of training that say which settings fit the device."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from get3d.cli.errors import OutOfMemoryError
from get3d.core import is_out_of_memory
from get3d.training import RunConfig
from get3d.training.checkpoints import list_checkpoints


@dataclass(frozen=True, kw_only=True)
class PresetMemory:
    """Memory that a preset needs.

    Attributes:
        name: Name of the preset.
        image_size: Width of its images, in pixels.
        peak_gib: Measured peak memory, in GiB, without the data set.
    """

    name: str
    image_size: int
    peak_gib: float


PRESETS = (
    PresetMemory(name="published-1024", image_size=1024, peak_gib=18.7),  # CPU, 4 images at a time
    PresetMemory(name="small-128", image_size=128, peak_gib=3.6),  # GPU, batch 32
    PresetMemory(name="tiny-64", image_size=64, peak_gib=0.8),  # CPU, batch 8, all of the process
)
"""Largest first."""


@contextmanager
def explain_out_of_memory(
    name: str, config: RunConfig, device: torch.device, folder: Path
) -> Iterator[None]:
    """Turn out-of-memory errors of training into one that says which settings fit.

    Args:
        name: Name or file of the configuration, as the user gave it.
        config: The configuration.
        device: Device of the training.
        folder: Run folder; the message names its newest checkpoint.

    Raises:
        OutOfMemoryError: In place of the out-of-memory errors of PyTorch, CUDA and Python.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        text = what_fits(name, config, _device_name(device), memory_bytes(device))
        if checkpoints := list_checkpoints(folder / "checkpoints"):
            # A run folder holds runs of one config, so another batch needs another folder.
            text += f", with another --out; the last checkpoint is kept: {checkpoints[-1]}"
        raise OutOfMemoryError(text) from error


def what_fits(name: str, config: RunConfig, device: str, num_bytes: int | None) -> str:
    """Describe that a configuration does not fit a device, and which settings do.

    Args:
        name: Name of the configuration.
        config: The configuration.
        device: Name of the device.
        num_bytes: Memory of the device; None if unknown.

    Example:
        >>> what_fits("mine.yaml", RunConfig(), "cuda:0", 8 << 30)
        'mine.yaml does not fit the memory of cuda:0 (8.0 GiB): small-128 needs about 3.6 GiB, or \
lower schedule.batch_size (now 32) or raise schedule.grad_accumulation_steps (now 1)'
    """
    gib = None if num_bytes is None else num_bytes / 2**30
    size = "" if gib is None else f" ({gib:.1f} GiB)"
    fitting = [
        preset
        for preset in PRESETS
        if preset.image_size < config.discriminator.image_size
        and (gib is None or preset.peak_gib < gib)
    ]
    ways = [f"{preset.name} needs about {preset.peak_gib} GiB" for preset in fitting[:1]]
    schedule = config.schedule
    if schedule.batch_size > 1:
        ways.append(f"lower schedule.batch_size (now {schedule.batch_size})")
    if schedule.grad_accumulation_steps < schedule.batch_size:
        ways.append(
            f"raise schedule.grad_accumulation_steps (now {schedule.grad_accumulation_steps})"
        )
    if not ways:
        ways.append("lower discriminator.image_size and generator.grid_resolution")
    discriminator = config.discriminator
    if discriminator.features != "none" and discriminator.feature_image_size > 32:
        size_now = discriminator.feature_image_size
        ways.append(f"lower discriminator.feature_image_size (now {size_now})")
    joined = ", or ".join([ways[0], " or ".join(ways[1:])] if ways[1:] else ways)
    return f"{name} does not fit the memory of {device}{size}: {joined}"


def memory_bytes(device: torch.device) -> int | None:
    """Return the total memory of a device in bytes, or None if unknown.

    On a CPU it is limited by `ulimit -v`.
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        import resource

        num_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, AttributeError, OSError, ValueError):  # Windows has neither
        return None
    return num_bytes if limit == resource.RLIM_INFINITY else min(num_bytes, limit)


def _device_name(device: torch.device) -> str:
    """Return the name of a device with its number."""
    if str(device) == "cuda":  # without a number
        return f"cuda:{torch.cuda.current_device()}"
    return str(device)
