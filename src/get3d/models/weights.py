"""What is known of a generator's weights before there is a network: names, shapes, types."""

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from get3d.models.config import GeneratorConfig
from get3d.models.generator import SeparateNetwork, UnifiedNetwork
from get3d.models.mapping import Mapping

_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def skeleton(config: GeneratorConfig) -> dict[str, Tensor]:
    """Name a generator's weights and their shapes, without the memory for them or for its grid.

    Args:
        config: Of the generator.

    Returns:
        Its state dict, on the device "meta".

    Raises:
        ValueError: If no computer could hold such a network.
    """
    sizes = config.z_dim, config.w_dim
    try:
        with torch.device("meta"):
            parts: dict[str, nn.Module] = {
                name: Mapping(*sizes, num_layers=config.mapping_layers)
                for name in ("mapping_geo", "mapping_tex")
            }
            is_unified = config.architecture == "unified"
            parts["network"] = UnifiedNetwork(config) if is_unified else SeparateNetwork(config)
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes beyond 64 bits
        raise ValueError("the config has sizes that no computer could hold") from error
    return nn.ModuleDict(parts).state_dict()


def check_weight_type(name: str, tensor: Shaped[Tensor, "..."]) -> None:
    """Refuse what is no plain tensor of floating-point numbers.

    Raises:
        ValueError: Naming the tensor and its type.
    """
    if tensor.dtype not in _TYPES or tensor.layout != torch.strided:
        raise ValueError(
            f"{name} has the type {tensor.dtype}, weights are floating-point numbers of 16, 32 or "
            "64 bits"
        )


def check_weight_values(name: str, tensor: Shaped[Tensor, "..."]) -> None:
    """Refuse values that are not finite in the 32 bits of our networks.

    Raises:
        ValueError: Naming the tensor.
    """
    if not tensor.float().isfinite().all():
        raise ValueError(
            f"{name} has values that are not finite as 32-bit floats; get another copy"
        )
