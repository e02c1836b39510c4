"""Where the work is done: the one place that picks a device."""

import torch


def pick_device(name: str) -> torch.device:
    """Turn a flag into a device that exists.

    Args:
        name: "auto" (a CUDA GPU if there is one, else the CPU), or what PyTorch calls the device:
            "cpu", "cuda", "cuda:1", "mps".

    Returns:
        The device.

    Raises:
        ValueError: If there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device must be one that PyTorch can use here, got {name}; auto and cpu always work "
            f"({str(error).splitlines()[0]})"
        ) from error
    return device
