"""A texture atlas of patches with flat coordinates: rectangles of one texel density on shelves."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from get3d.core import ConfigError

_PAD = 2  # texels of padding around each rectangle


@dataclass(frozen=True)
class Atlas:
    """Positions of rectangles of flat coordinates in the texture."""

    texture_size: int  # width and height, in texels
    density: float  # texels per metre
    low: Float[np.ndarray, "rects 2"]  # smallest flat coordinates of each rectangle, in metres
    corners: Int[np.ndarray, "rects 2"]  # first column and row of each rectangle, border included
    sizes: Int[np.ndarray, "rects 2"]  # columns and rows of each rectangle, border included
    is_turned: np.ndarray  # whether the second flat axis of a rectangle is along the row

    def texels(self, rect: int) -> Float[np.ndarray, "rows columns 2"]:
        """Return the flat coordinates of the texels of one rectangle."""
        columns, rows = self.sizes[rect]
        first = (np.arange(columns) + 0.5 - _PAD) / self.density
        second = (np.arange(rows) + 0.5 - _PAD) / self.density
        flat = np.empty((rows, columns, 2), np.float32)
        flat[..., 0], flat[..., 1] = first[None, :], second[:, None]
        return (flat[..., ::-1] if self.is_turned[rect] else flat) + self.low[rect].astype("f4")

    def uvs(
        self, flat: Float[np.ndarray, "n 2"], rect: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n 2"]:
        """Compute the texture coordinates (origin at the bottom left) of points in rectangles."""
        at = (flat - self.low[rect]) * self.density + _PAD
        at = np.where(self.is_turned[rect][:, None], at[:, ::-1], at) + self.corners[rect]
        return at / self.texture_size * (1, -1) + (0, 1)


def pack(
    low: Float[np.ndarray, "rects 2"], high: Float[np.ndarray, "rects 2"], *, texture_size: int
) -> Atlas:
    """Pack rectangles on shelves, at the largest texel density at which they fit.

    Args:
        low: Smallest flat coordinates of each rectangle.
        high: Largest flat coordinates of each rectangle.
        texture_size: Width and height of the texture, in texels.

    Raises:
        ConfigError: If the texture is too small for the number of rectangles.
    """
    extent = np.maximum(high - low, 1e-6)
    is_turned = extent[:, 0] > extent[:, 1]
    upright = np.sort(extent, axis=1)
    order = np.lexsort((-upright[:, 0], -upright[:, 1]))
    density = 0.97 * texture_size / np.sqrt(upright.prod(1).sum())
    while density > 1:
        sizes = np.ceil(upright * density).astype(np.int64) + 2 * _PAD
        corners = _shelves(sizes[order], texture_size)
        if corners is not None:
            unsorted = np.empty_like(corners)
            unsorted[order] = corners
            return Atlas(texture_size, density, low, unsorted, sizes, is_turned)
        density *= 0.96
    raise ConfigError(f"a texture of {texture_size} texels is too small for {len(low)} patches")


def _shelves(
    sizes: Int[np.ndarray, "rects 2"], texture_size: int
) -> Int[np.ndarray, "rects 2"] | None:
    """Place rectangles, sorted by height, on shelves from the top; None if they do not fit."""
    corners: list[tuple[int, int]] = []
    x = y = shelf = 0
    for width, height in sizes.tolist():
        if x + width > texture_size:
            x, y, shelf = 0, y + shelf, 0
        if width > texture_size or y + height > texture_size:
            return None
        corners.append((x, y))
        x, shelf = x + width, max(shelf, height)
    return np.array(corners, np.int64)
