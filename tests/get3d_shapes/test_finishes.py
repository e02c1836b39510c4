import numpy as np
import pytest

from get3d_shapes.finishes import PATTERNS, Banded, Decal, Plain, pattern_fraction
from get3d_shapes.palettes import COLORS, draw_fabric, draw_leather, draw_metal, draw_wood

GRID = np.stack(np.meshgrid(np.arange(60) * 0.005, np.arange(60) * 0.005), -1).reshape(-1, 2)
NO_SHIFT = np.zeros_like(GRID)
RED = Plain((0.8, 0.1, 0.1), "glass", "red")
BLUE = Plain((0.1, 0.1, 0.8), "glass", "blue")


@pytest.mark.parametrize("draw", [draw_wood, draw_fabric, draw_leather, draw_metal])
def test_finishes_are_drawn_and_painted_repeatably(draw) -> None:
    finish = draw(np.random.default_rng(3))
    assert finish == draw(np.random.default_rng(3))
    colors = finish.paint(GRID, NO_SHIFT)
    assert colors.shape == (3600, 3)
    assert 0 < colors.std(0).mean() < 0.5
    assert np.clip(colors, 0, 1).mean() > 0.02
    np.testing.assert_array_equal(colors, finish.paint(GRID, NO_SHIFT))


def test_grain_runs_along_the_second_axis() -> None:
    colors = draw_wood(np.random.default_rng(0), "oak").paint(GRID, NO_SHIFT).reshape(60, 60, 3)
    along, across = np.abs(np.diff(colors, axis=0)).mean(), np.abs(np.diff(colors, axis=1)).mean()
    assert across > 3 * along


def test_grain_moves_with_the_shift_and_patterns_do_not() -> None:
    wood = draw_wood(np.random.default_rng(0))
    assert np.abs(wood.paint(GRID, NO_SHIFT) - wood.paint(GRID, NO_SHIFT + 0.3)).max() > 0.05
    s, t = GRID.T
    assert pattern_fraction("stripes", s, t, 0.1) == pytest.approx(
        pattern_fraction("stripes", s + 0.1, t, 0.1), abs=1e-6
    )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str) -> None:
    fraction = pattern_fraction(pattern, *GRID.T, 0.1)
    assert fraction.min() >= 0
    assert fraction.max() <= 1
    assert (fraction.max() > 0.99) == (pattern != "plain")


def test_bands_and_decals_lie_where_they_should() -> None:
    banded = Banded(RED, ((0.1, 0.2, BLUE),))
    colors = banded.paint(GRID, NO_SHIFT)
    is_blue = colors[:, 2] > 0.5
    np.testing.assert_array_equal(is_blue, (GRID[:, 1] >= 0.1) & (GRID[:, 1] < 0.2))
    assert banded.color_name == "red"
    letter = Decal(RED, ("#.", "##"), (0.0, 1.0, 0.0), (0.15, 0.15), 0.1)  # an L
    green = letter.paint(GRID, NO_SHIFT)[:, 1].reshape(60, 60) > 0.5  # rows: second coordinate
    assert green[22, 22]
    assert green[22, 38]
    assert green[38, 22]
    assert not green[38, 38]
    assert not green[:19].any()


def test_colors_are_srgb() -> None:
    assert all(0 <= value <= 1 for color in COLORS.values() for value in color)
