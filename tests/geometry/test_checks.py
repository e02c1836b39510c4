import pytest
import torch

from get3d.core import Mesh
from get3d.core.errors import MeshError
from get3d.geometry import check_count, check_finite, check_indices, check_mesh, unit_box


def mesh(faces) -> Mesh:
    return Mesh(torch.eye(3), torch.tensor(faces, dtype=torch.int64).reshape(-1, 3))


def test_good_meshes_pass():
    check_mesh(mesh([[0, 1, 2]]))
    check_mesh(mesh([]))
    check_mesh(Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64)))


@pytest.mark.parametrize("bad", [-1, 3, 50_000_000, -(2**40)])
def test_vertex_indices_in_range(bad):
    message = f"faces has index {bad}, but there are 3 vertices; give indices from 0 to 2"
    with pytest.raises(MeshError, match=message):
        check_mesh(mesh([[0, 1, 2], [0, bad, 1]]))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_positions_are_finite(bad):
    verts = torch.eye(3)
    verts[1, 2] = bad
    with pytest.raises(MeshError, match="1 of 3 vertex positions are not finite; remove or rep"):
        check_mesh(Mesh(verts, torch.tensor([[0, 1, 2]])))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_an_error(dtype):
    with pytest.raises(ValueError, match=f"colours must be float32 or float64, got {dtype}"):
        check_finite("colours", torch.ones(2, 3, dtype=dtype))


def test_indices_into_nothing_and_no_indices():
    check_indices("faces", torch.zeros(0, 3, dtype=torch.int64), 0, "vertices")
    with pytest.raises(MeshError, match="faces has index 0, but there are 0 vertices"):
        check_indices("faces", torch.zeros(1, 3, dtype=torch.int64), 0, "vertices")


def test_counts_must_match():
    check_count("normals", 3, 3, "vertices")
    with pytest.raises(MeshError, match="normals has 2 rows for 3 vertices; give one for each"):
        check_count("normals", 2, 3, "vertices")


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-100, 1.0, 1e5, 1e100, 1.7e308])
def test_unit_box_of_any_size(scale):
    verts = torch.tensor([[-1.0, 0.5, 0], [1, 0, 0.25]]).double() * scale
    box = unit_box(verts)
    within = box.shrink(verts)
    assert within.isfinite().all()
    if scale:
        assert 0.5 <= within.abs().max() <= 2
    torch.testing.assert_close(box.restore(within), verts, rtol=1e-12, atol=0)


def test_powers_of_two_change_nothing():
    verts = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    for scale in (2.0**-20, 2.0**20):
        assert torch.equal(
            unit_box(verts * scale).shrink(verts * scale), unit_box(verts).shrink(verts)
        )
