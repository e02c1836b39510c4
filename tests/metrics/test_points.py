import json
import math

import pytest
import torch

from get3d.core import Material, Mesh, MeshError, TexturedMesh, from_dict, to_dict
from get3d.metrics import PointProtocol, sample_points

PROTOCOL = PointProtocol()
FLAG = Mesh(  # two triangles in the plane z = 5, of areas 8 and 24
    torch.tensor([[2.0, 0, 5], [6, 0, 5], [2, 4, 5], [2, -12, 5]]),
    torch.tensor([[0, 1, 2], [0, 3, 1]]),
)


def test_the_longest_side_is_one_and_the_middle_stays():
    points = sample_points(FLAG, PROTOCOL, seed=0)
    assert points.shape == (2048, 3)
    assert points.dtype == torch.float32
    torch.testing.assert_close(points[:, 2], torch.full((2048,), 5 / 16))
    assert (points.amax(0) - points.amin(0)).max() == pytest.approx(1.0, abs=0.05)
    assert points[:, 0].amin() >= 2 / 16
    assert points[:, 0].amax() <= 6 / 16


def test_points_are_spread_by_area():
    points = sample_points(FLAG, PointProtocol(num_points=4000), seed=0)
    deviation = math.sqrt(0.25 * 0.75 / 4000)
    assert (points[:, 1] > 0).double().mean() == pytest.approx(0.25, abs=4 * deviation)


def test_seeds():
    first = sample_points(FLAG, PROTOCOL, seed=3)
    assert torch.equal(first, sample_points(FLAG, PROTOCOL, seed=3))
    assert not torch.equal(first, sample_points(FLAG, PROTOCOL, seed=4))
    assert not torch.equal(first, sample_points(FLAG, PointProtocol(seed=1), seed=3))
    swapped = sample_points(FLAG, PointProtocol(seed=3), seed=0)
    assert not torch.equal(first, swapped)


def test_a_textured_mesh_is_sampled_as_its_mesh():
    textured = TexturedMesh(
        mesh=FLAG,
        uvs=torch.zeros(0, 2),
        uv_faces=torch.zeros(2, 3, dtype=torch.int64),
        materials=(Material(),),
        face_material=torch.zeros(2, dtype=torch.int64),
    )
    assert torch.equal(
        sample_points(textured, PROTOCOL, seed=0), sample_points(FLAG, PROTOCOL, seed=0)
    )


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_units_do_not_matter(scale):
    scaled = Mesh(FLAG.verts * scale, FLAG.faces)
    torch.testing.assert_close(
        sample_points(scaled, PROTOCOL, seed=0), sample_points(FLAG, PROTOCOL, seed=0)
    )


def test_vertices_without_faces_do_not_matter():
    stray = torch.tensor([[torch.nan, 99.0, 0.0]])
    mesh = Mesh(torch.cat([FLAG.verts, stray]), FLAG.faces)
    assert torch.equal(sample_points(mesh, PROTOCOL, seed=0), sample_points(FLAG, PROTOCOL, seed=0))


def invalid_meshes() -> dict[str, Mesh]:
    bad = FLAG.verts.clone()
    bad[1, 0] = torch.nan
    line = FLAG.verts * torch.tensor([1.0, 0.0, 0.0])
    return {
        "has no faces": Mesh(FLAG.verts, FLAG.faces[:0]),
        "NaN or infinity": Mesh(bad, FLAG.faces),
        "no area": Mesh(line, FLAG.faces),
        "no area: all": Mesh(torch.ones(4, 3), FLAG.faces),
    }


@pytest.mark.parametrize(("message", "mesh"), invalid_meshes().items())
def test_invalid_meshes_raise(message, mesh):
    with pytest.raises(MeshError, match=message):
        sample_points(mesh, PROTOCOL, seed=0)


def test_the_protocol_is_plain_text_and_back():
    saved = json.loads(json.dumps(to_dict(PointProtocol(num_points=7))))
    assert saved["num_points"] == 7
    assert "not re-centred" in saved["normalization"]
    assert from_dict(PointProtocol, saved) == PointProtocol(num_points=7)
    with pytest.raises(ValueError, match="normalization must be one of"):
        from_dict(PointProtocol, {"normalization": "unit sphere"})


@pytest.mark.parametrize("wrong", [{"num_points": 0}, {"seed": -1}])
def test_protocols_that_no_shape_can_follow_raise(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PointProtocol(**wrong)
