"""Where the work is done: the one place that picks a device."""

import torch


def pick_device(name: str) -> torch.device:
    """Turn a flag into a device that exists.

    Args:
        name: "auto" (a CUDA GPU if there is one, else the CPU), or what PyTorch calls the device:
            "cpu", "cuda", "cuda:1". It has to know double precision, in which the rasteriser
            places vertices; Apple's "mps" does not.

    Returns:
        The device.

    Raises:
        ValueError: If there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device, dtype=torch.float64).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise ValueError(
            f"device must be one that PyTorch can use here, got {name}; auto and cpu always work "
            f"({reason[:200]})"
        ) from error
    return device
