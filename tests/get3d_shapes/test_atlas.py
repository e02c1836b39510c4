import numpy as np
import pytest

from get3d_shapes.atlas import pack


def _boxes(num: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    low = rng.uniform(-1, 1, (num, 2))
    return low, low + rng.uniform(0.01, 0.6, (num, 2))


def test_rectangles_do_not_overlap_and_keep_one_density() -> None:
    low, high = _boxes(60)
    atlas = pack(low, high, texture_size=256)
    taken = np.zeros((256, 256), int)
    for (x, y), (width, height) in zip(atlas.corners, atlas.sizes, strict=True):
        assert x + width <= 256
        assert y + height <= 256
        taken[y : y + height, x : x + width] += 1
    assert taken.max() == 1
    assert taken.mean() > 0.6
    extent = np.where(atlas.is_turned[:, None], (high - low)[:, ::-1], high - low)
    assert (atlas.sizes >= extent * atlas.density).all()


def test_texels_and_uvs_agree() -> None:
    """The texel at a texture coordinate has the color of that flat coordinate."""
    low, high = _boxes(20)
    atlas = pack(low, high, texture_size=256)
    rng = np.random.default_rng(1)
    for rect in range(20):
        flat = rng.uniform(low[rect], high[rect], (5, 2))
        at = atlas.uvs(flat, np.full(5, rect)) * (1, -1) * 256 + (0, 256)
        column, row = np.floor(at).astype(int).T
        x, y = atlas.corners[rect]
        texel = atlas.texels(rect)[row - y, column - x]
        assert np.abs(texel - flat).max() <= 0.51 / atlas.density


def test_too_small() -> None:
    low, high = _boxes(400)
    with pytest.raises(ValueError, match="64 texels is too small for 400 patches"):
        pack(low, high, texture_size=64)
