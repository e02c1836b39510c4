import numpy as np
import pytest
import torch

from get3d.core import Appearance, ConfigError, Mesh
from get3d.export import check_texture_size, choose_texture_size, texture_mesh
from get3d.geometry import surface_area


def waves(points):
    return 0.5 + 0.5 * torch.sin(9 * points)


@pytest.mark.parametrize(
    ("spacing", "size"), [(0.9 / 64, 512), (0.9 / 32, 256), (0.9 / 256, 2048), (1.0, 128)]
)
def test_three_texels_cover_the_spacing(ball, spacing, size):
    mesh = ball(3)
    appearance = Appearance({"color": 3}, waves, spacing=spacing)
    assert choose_texture_size("auto", mesh, appearance) == size
    across = (surface_area(mesh).item() / 0.7) ** 0.5 / spacing * 3
    assert size in (128, 2 ** int(np.ceil(np.log2(across))))


def test_sizes_are_bounded_and_explicit_ones_stay(ball):
    mesh = ball(1)
    fine = Appearance({"color": 3}, waves, spacing=1e-9)
    assert choose_texture_size("auto", mesh, fine) == 4096
    assert choose_texture_size("auto", mesh, Appearance.of_color(waves)) == 1024
    assert choose_texture_size(300, mesh, fine) == 300
    empty = Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]))
    assert choose_texture_size("auto", empty, fine) == 128


def test_the_texture_has_the_size(ball):
    appearance = Appearance({"color": 3}, waves, spacing=0.05)
    assert texture_mesh(ball(2), appearance).materials[0].texture.shape[:2] == (128, 128)


@pytest.mark.parametrize("bad", ["Auto", "", None, 64.5, 0, -3, 16385, "64"])
def test_what_is_no_size(bad):
    with pytest.raises(ConfigError, match=r'to 16384(, a whole number)?, or "auto", got'):
        check_texture_size(bad, may_be_auto=True)


def test_auto_is_a_size_only_where_it_can_be():
    check_texture_size("auto", may_be_auto=True)
    with pytest.raises(ConfigError, match="a whole number, got 'auto'"):
        check_texture_size("auto")
