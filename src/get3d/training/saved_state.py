"""Validation of saved tensors and optimiser states, before any of them is loaded."""

import torch
from torch import Tensor, nn

from get3d.training.checkpoints import DamagedCheckpointError


def check_weights(name: str, saved: object, network: nn.Module) -> None:
    """Validate the state dict of a network.

    Args:
        name: Name of the part, for the message.
        saved: The saved state dict, of any type.
        network: Network that it is to be loaded into.

    Raises:
        DamagedCheckpointError: If a tensor is missing, unexpected, of another shape or type, or not
            finite.
    """
    wanted = network.state_dict()
    if not isinstance(saved, dict) or saved.keys() != wanted.keys():
        raise DamagedCheckpointError(f"{name} has other tensors than the network")
    for key, tensor in wanted.items():
        _check_tensor(f"{name}: {key}", saved[key], tensor)


def checked_optimizer_state(
    name: str, saved: object, optimizer: torch.optim.Adam, *, is_stepped: bool
) -> dict[str, object]:
    """Validate the saved state of Adam, whose fused kernel writes wherever a wrong shape leads.

    Args:
        name: Name of the part, for the message.
        saved: The saved state, of any type.
        optimizer: Optimiser that it is to be loaded into.
        is_stepped: Whether the optimiser has done a step, so that its state cannot be empty.

    Returns:
        The state to load: copies of the saved moments, and the optimiser's own options, which
        follow from the config.

    Raises:
        DamagedCheckpointError: If it is not a state of this optimiser.
    """
    own = optimizer.state_dict()["param_groups"]
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    content = saved if isinstance(saved, dict) else {}
    entries, groups = content.get("state"), content.get("param_groups")
    if (
        not isinstance(entries, dict)
        or not isinstance(groups, list)
        or [group.get("params") for group in groups if isinstance(group, dict)]
        != [group["params"] for group in own]
        or not set(entries) <= set(range(len(parameters)))
        or bool(entries) != is_stepped
    ):
        raise DamagedCheckpointError(f"{name} is no state of the optimiser of these networks")
    checked = {}
    for index, entry in entries.items():
        parameter = parameters[index].detach()
        expected = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
        if not isinstance(entry, dict) or entry.keys() != expected.keys():
            raise DamagedCheckpointError(f"{name} has no moments of parameter {index}")
        for key, tensor in expected.items():
            _check_tensor(f"{name}: {key} of parameter {index}", entry[key], tensor)
        if not entry["step"] >= 1 or bool((entry["exp_avg_sq"] < 0).any()):
            raise DamagedCheckpointError(f"{name} has negative values for parameter {index}")
        # Copies, since tensors of a file may share their memory.
        checked[index] = {
            key: torch.empty_like(tensor, device="cpu").copy_(entry[key])
            for key, tensor in expected.items()
        }
    return {"state": checked, "param_groups": own}


def _check_tensor(name: str, saved: object, wanted: Tensor) -> None:
    """Raise DamagedCheckpointError unless a saved tensor can replace another one."""
    if (
        not isinstance(saved, Tensor)
        or saved.layout != torch.strided
        or (saved.shape, saved.dtype) != (wanted.shape, wanted.dtype)
    ):
        raise DamagedCheckpointError(
            f"{name} is no tensor of shape {list(wanted.shape)} and {wanted.dtype}"
        )
    if not saved.isfinite().all():
        raise DamagedCheckpointError(f"{name} has values that are not finite")
