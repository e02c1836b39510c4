"""The choice of the PyTorch device."""

import torch

from get3d.core import ConfigError


def pick_device(name: str) -> torch.device:
    """Turn the value of `--device` into a device that exists.

    Args:
        name: "auto" (a CUDA GPU if there is one, else the CPU), or what PyTorch calls the device:
            "cpu", "cuda", "cuda:1". It must support double precision, in which the rasteriser
            places vertices; Apple's "mps" does not.

    Raises:
        ConfigError: If PyTorch cannot use such a device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device, dtype=torch.float64).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise ConfigError(
            f"device must be one that PyTorch can use here, got {name}; auto and cpu always work "
            f"({reason[:200]})"
        ) from error
    return device
