"""Names, shapes and types of a generator's weights, before the generator is built."""

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from get3d.core import ConfigError, ModelError
from get3d.models.config import GeneratorConfig
from get3d.models.generator import SeparateNetwork, UnifiedNetwork
from get3d.models.mapping import Mapping

_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def skeleton(config: GeneratorConfig) -> dict[str, Tensor]:
    """Make a generator's state dict without memory for its weights or its grid.

    Args:
        config: Config of the generator.

    Returns:
        The state dict, on the device "meta".

    Raises:
        ConfigError: If the sizes exceed any memory.
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
        raise ConfigError("the config has sizes that no computer could hold") from error
    return nn.ModuleDict(parts).state_dict()


def check_weight_type(name: str, tensor: Shaped[Tensor, "..."]) -> None:
    """Validate that a tensor is dense and of floating-point numbers.

    Args:
        name: Name of the tensor, for the message.
        tensor: The tensor.

    Raises:
        ModelError: If it is not.
    """
    if tensor.dtype not in _TYPES or tensor.layout != torch.strided:
        raise ModelError(
            f"{name} has the type {tensor.dtype}, weights are floating-point numbers of 16, 32 or "
            "64 bits"
        )


def check_weight_values(name: str, tensor: Shaped[Tensor, "..."]) -> None:
    """Validate that a tensor is finite as float32, the type of our networks.

    Args:
        name: Name of the tensor, for the message.
        tensor: The tensor.

    Raises:
        ModelError: If it is not.
    """
    if not tensor.float().isfinite().all():
        raise ModelError(
            f"{name} has values that are not finite as 32-bit floats; get another copy"
        )
