import pytest
import torch
from torch import Tensor

from get3d.geometry import bcc_grid, make_grid
from get3d.models.ops import GridLookup, sample_triplane


def planes(num: int = 2, size: int = 8, channels: int = 4) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(num, 3 * channels, size, size, generator=rng, dtype=torch.float64)


def test_axes_of_the_planes() -> None:
    """A plane that holds its own coordinates returns the point's."""
    size, extent = 16, 2.0
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) / size * extent - extent / 2
    across, down = centres.expand(size, size), centres[:, None].expand(size, size)
    points = torch.tensor([[0.1, -0.3, 0.7]], dtype=torch.float64)
    for plane, (first, second) in enumerate(((0, 1), (1, 2), (0, 2))):
        maps = torch.zeros(1, 3, 2, size, size, dtype=torch.float64)
        maps[0, plane] = torch.stack([across, down])
        sampled = sample_triplane(maps.flatten(1, 2), points, extent=extent)
        torch.testing.assert_close(sampled[0], points[:, [first, second]])


def test_outside_is_the_border() -> None:
    inside = torch.tensor([[0.5, 0.1, -0.5]], dtype=torch.float64)
    outside = torch.tensor([[0.9, 0.1, -7.0]], dtype=torch.float64)
    maps = planes()
    torch.testing.assert_close(
        sample_triplane(maps, outside, extent=1.0), sample_triplane(maps, inside, extent=1.0)
    )


def test_points_of_each_sample_or_shared() -> None:
    maps = planes()
    points = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    shared = sample_triplane(maps, points, extent=1.0)
    own = sample_triplane(maps, points.expand(2, -1, -1), extent=1.0)
    torch.testing.assert_close(shared, own)
    with pytest.raises(ValueError, match="3 samples"):
        sample_triplane(maps, points.expand(3, -1, -1), extent=1.0)


def test_gradients() -> None:
    maps = planes(1, 4, 2).requires_grad_()
    points = torch.rand(3, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    points.requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: sample_triplane(*x, extent=1.0), (maps, points))


class TestGridLookup:
    @pytest.mark.parametrize("is_lattice", [True, False])
    def test_is_the_lookup_at_the_vertices(self, is_lattice: bool) -> None:
        grid = bcc_grid(12)
        verts = grid.verts
        if not is_lattice:
            verts = verts + 0.01 * torch.rand(verts.shape, generator=torch.Generator())
        grid = make_grid(verts, grid.tets, resolution=12)
        lookup = GridLookup(grid.verts, extent=1.0, resolution=8).double()
        maps = planes()
        rows = lookup.read(maps)
        assert (rows.shape[1] < len(verts)) == is_lattice
        every = torch.arange(len(verts)).expand(2, -1)
        expected = sample_triplane(maps, grid.verts.double(), extent=1.0)
        # The lookup's coordinates were made in single precision.
        torch.testing.assert_close(lookup.gather_at(rows, every), expected, atol=1e-5, rtol=1e-5)

    def test_some_vertices_of_each_sample(self) -> None:
        lookup = GridLookup(bcc_grid(12).verts, extent=1.0, resolution=8).double()
        rows = lookup.read(planes())
        every = lookup.gather_at(rows, torch.arange(len(lookup.index)).expand(2, -1))
        picked = torch.tensor([[5, 0, 7], [3, 3, 100]])
        some = lookup.gather_at(rows, picked)
        torch.testing.assert_close(some, torch.stack([every[0, picked[0]], every[1, picked[1]]]))

    def test_bias_is_shared_out_once(self) -> None:
        lookup = GridLookup(bcc_grid(12).verts, extent=1.0, resolution=8)
        total = lookup.bias_fraction[lookup.index.long()].sum(dim=1)
        torch.testing.assert_close(total, torch.ones_like(total))

    def test_gradients(self) -> None:
        lookup = GridLookup(bcc_grid(4).verts, extent=1.0, resolution=4).double()
        maps = planes(2, 4, 1).requires_grad_()
        assert torch.autograd.gradcheck(lookup.read, maps)
        assert torch.autograd.gradgradcheck(lookup.read, maps)
