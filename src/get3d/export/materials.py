"""From baked channels to a material."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from get3d.core.types import Material

_SIZES = {
    "color": 3,
    "base_color": 3,
    "alpha": 1,
    "metallic": 1,
    "roughness": 1,
    "emissive": 3,
    "normal": 3,
}


def check_channels(channels: Mapping[str, int]) -> None:
    """Check that a material has the channels of an appearance.

    Args:
        channels: Number of values of each, by name.

    Raises:
        ValueError: If one is unknown or has another number of values, or there is no colour.
    """
    for name, size in channels.items():
        if _SIZES.get(name) != size:
            known = ", ".join(f"{key} ({value})" for key, value in _SIZES.items())
            raise ValueError(f"a material has no channel {name} of {size} values; it has: {known}")
    if ("color" in channels) == ("base_color" in channels):
        raise ValueError(
            f"a material needs either the channel color or base_color, got {', '.join(channels)}"
        )


def make_material(channels: Mapping[str, Float[Tensor, "h w _"]]) -> Material:
    """Make a material from textures of its channels; its factors are 1.

    Args:
        channels: In [0, 1]: color or base_color (3 values, sRGB); optionally alpha (1), metallic
            (1), roughness (1), emissive (3, sRGB) and normal (3, tangent space, 0 to 1 for -1 to
            1).

    Returns:
        The material. A channel that is not given has glTF's value for a plain dielectric: opaque,
        rough, not metallic, no emission.

    Raises:
        ValueError: As `check_channels`.
    """
    check_channels({name: texture.shape[-1] for name, texture in channels.items()})
    color = channels.get("base_color", channels.get("color"))
    assert color is not None  # checked above
    alpha = channels.get("alpha")
    texture = F.pad(color, (0, 1), value=1.0) if alpha is None else torch.cat([color, alpha], 2)
    metallic, roughness = channels.get("metallic"), channels.get("roughness")
    both = None
    if metallic is not None or roughness is not None:
        ones = torch.ones_like(color[..., :1])
        parts = (
            ones,
            ones if roughness is None else roughness,
            ones if metallic is None else metallic,
        )
        both = _to_u8(torch.cat(parts, 2))
    return Material(
        texture=texture,
        metallic=0.0 if metallic is None else 1.0,
        metallic_roughness_texture=both,
        normal_texture=_to_u8(channels["normal"]) if "normal" in channels else None,
        emissive=(1.0, 1.0, 1.0) if "emissive" in channels else (0.0, 0.0, 0.0),
        emissive_texture=_to_u8(channels["emissive"]) if "emissive" in channels else None,
    )


def _to_u8(values: Float[Tensor, "h w c"]) -> UInt8[Tensor, "h w c"]:
    return (values.detach().clamp(0, 1) * 255 + 0.5).to(torch.uint8)
