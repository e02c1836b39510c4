"""Options of a published generator, from the names and shapes of its tensors."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from get3d.core import ModelError
from get3d.models import GeneratorConfig

# Prefixes of tri-plane backbone and texture network in either architecture.
_UNIFIED = ("synthesis.generator.tri_plane_synthesis", "synthesis.generator.mlp_synthesis_tex")
_SEPARATE = (
    "synthesis.geometry_synthesis_tex.tri_plane_synthesis",
    "synthesis.geometry_synthesis_tex.mlp_synthesis",
)
_FLEXICUBES = "synthesis.generator.mlp_synthesis_weight.layers.0.weight"


def recognise_generator(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Determine a published generator's options from its tensors.

    Architecture and iso-surface follow from the names, widths and sizes from the shapes. The grid's
    resolution, its scale and the multiplier of deformations cannot be determined.

    Args:
        state_dict: Tensors of the release (`G` or `G_ema`).

    Returns:
        Options for `load_generator`, all but `tet_res`, `dmtet_scale` and
        `deformation_multiplier`.

    Raises:
        ModelError: If these are not the tensors of a published generator.
    """
    is_unified = any(name.startswith(f"{_UNIFIED[0]}.") for name in state_dict)
    backbone, texture = _UNIFIED if is_unified else _SEPARATE
    widths = _backbone_widths(state_dict, backbone)
    channel_base, channel_max = _channel_rule(widths)
    w_dim, z_dim = _shape(state_dict, "mapping.fc0.weight", 2)
    mlp_width, mlp_layers = _mlp(state_dict, texture)
    return {
        "z_dim": z_dim,
        "w_dim": w_dim,
        "tri_plane_resolution": max(widths),
        "one_3d_generator": is_unified,
        "iso_surface": "flexicubes" if _FLEXICUBES in state_dict else "dmtet",
        "channel_base": channel_base,
        "channel_max": channel_max,
        "n_implicit_layer": mlp_layers - 1,
        "mlp_latent_channel": mlp_width,
    }


def _backbone_widths(state_dict: Mapping[str, Tensor], prefix: str) -> dict[int, int]:
    """Read the channels of the tri-plane backbone at each of its resolutions."""
    pattern = re.compile(re.escape(prefix) + r"\.b(\d{1,5})\.conv1\.weight")
    found = [match for name in state_dict if (match := pattern.fullmatch(name))]
    widths = {int(match[1]): _shape(state_dict, match[0], 4)[0] for match in found}
    sizes = sorted(widths)
    if not sizes or sizes != [4 << i for i in range(len(sizes))]:
        first = ", ".join(list(state_dict)[:3])
        raise ModelError(
            f"these are not the tensors of a published GET3D generator: no {prefix}.b4, b8, ... "
            f"among {len(state_dict)} names such as {first[:200]}"
        )
    return widths


def _channel_rule(widths: dict[int, int]) -> tuple[int, int]:
    """Find base and most with `width = min(base // resolution, most)` for all widths.

    Of several bases that give the same widths, the smallest is returned.
    """
    most = max(widths.values())
    base = max(width * size for size, width in widths.items())
    if any(min(base // size, most) != width for size, width in widths.items()):
        raise ModelError(
            f"the tri-plane backbone has widths {list(widths.values())} at resolutions "
            f"{list(widths)}, which no channel_base and channel_max give"
        )
    return base, most


def _mlp(state_dict: Mapping[str, Tensor], prefix: str) -> tuple[int, int]:
    """Read the width of the hidden layers of a point network, and the number of its layers."""
    num_layers = 0
    while f"{prefix}.layers.{num_layers}.weight" in state_dict:
        num_layers += 1
    if num_layers < 2:
        return GeneratorConfig.mlp_width, max(num_layers, 1)
    return _shape(state_dict, f"{prefix}.layers.0.weight", 2)[0], num_layers


def _shape(state_dict: Mapping[str, Tensor], name: str, ndim: int) -> tuple[int, ...]:
    """Return the shape of a tensor; raise ModelError if it is missing or has other axes."""
    if name not in state_dict:
        raise ModelError(f"these are not the tensors of a published GET3D generator: no {name}")
    shape = tuple(state_dict[name].shape)
    if len(shape) != ndim or 0 in shape:
        raise ModelError(
            f"{name} has shape {list(shape)}, a published generator's has {ndim} axes, none empty"
        )
    return shape
