"""The width of a texture: validated, or chosen from what the appearance can hold."""

import math
from numbers import Integral
from typing import Any, Literal

from get3d.core import Appearance, ConfigError, Mesh
from get3d.geometry import surface_area

TextureSize = int | Literal["auto"]
"""Width and height of a texture, in texels, or "auto"; see `choose_texture_size`."""

MAX_TEXTURE_SIZE = 16384
"""Side of the largest texture, in texels."""

_TEXELS_A_SPACING = 3
_USUAL_FRACTION = 0.7
_LEAST, _MOST = 128, 4096
_UNKNOWN = 1024


def check_texture_size(texture_size: Any, *, least: int = 1, may_be_auto: bool = False) -> None:
    """Validate the size of a texture.

    Args:
        texture_size: In texels.
        least: The smallest that makes sense.
        may_be_auto: Whether "auto" is a size.

    Raises:
        ConfigError: If it is out of range or no whole number.
    """
    if may_be_auto and isinstance(texture_size, str) and texture_size == "auto":
        return
    is_whole = isinstance(texture_size, Integral)
    if not is_whole or not least <= texture_size <= MAX_TEXTURE_SIZE:
        kind = "" if is_whole else ", a whole number"
        kind += ', or "auto"' if may_be_auto else ""
        raise ConfigError(
            f"texture_size must be from {least} to {MAX_TEXTURE_SIZE}{kind}, got {texture_size!r}"
        )


def choose_texture_size(texture_size: TextureSize, mesh: Mesh, appearance: Appearance) -> int:
    """Return the size of a texture in texels, chosen if it is "auto".

    A larger texture than the appearance can fill is blur. So three texels cover the appearance's
    spacing, which shows its values with more than 40 dB of PSNR, and the size is the next power of
    two, from 128 to 4096; 1024 where the appearance has no known spacing.

    Args:
        texture_size: In texels, or "auto".
        mesh: The surface; its area decides.
        appearance: What is baked.

    Raises:
        ConfigError: As `check_texture_size`.
    """
    check_texture_size(texture_size, may_be_auto=True)
    if texture_size != "auto":
        return int(texture_size)
    if appearance.spacing is None:
        return _UNKNOWN
    side = (surface_area(mesh).item() / _USUAL_FRACTION) ** 0.5 / appearance.spacing
    if not math.isfinite(side):  # the mesh is refused when it is unwrapped
        return _UNKNOWN
    return min(_MOST, max(_LEAST, 2 ** math.ceil(math.log2(max(side * _TEXELS_A_SPACING, 1.0)))))
