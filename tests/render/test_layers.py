import torch

from get3d.core import Mesh
from get3d.render import project_meshes, render_mesh
from get3d.render.layers import MAX_LAYERS, hidden_layers


def test_layers_are_the_faces_of_each_pixel_from_front_to_back(cameras):
    """Each face alone tells where it is and how far; sorted, they are the layers."""
    generator = torch.Generator().manual_seed(0)
    verts = torch.rand(36, 3, generator=generator) - 0.5
    faces = torch.arange(36).view(12, 3)
    views, size = cameras(2), 16
    alone = [render_mesh(Mesh(verts, face[None]), views, size) for face in faces]
    depth = torch.stack(
        [torch.where(each.face_id >= 0, each.depth.double(), torch.inf) for each in alone]
    ).flatten(1)
    order = depth.argsort(0)
    packed, _ = project_meshes([Mesh(verts, faces)], views, views_per_mesh=2)
    is_wanted = torch.rand(2, size, size, generator=generator) < 0.7
    layers = hidden_layers(packed, is_wanted)
    wanted = is_wanted.flatten()
    assert len(layers) == int(depth[:, wanted].isfinite().sum(0).max()) - 1
    for number, (pixels, found) in enumerate(layers, start=1):
        has_layer = wanted & (depth.isfinite().sum(0) > number)
        assert torch.equal(pixels, has_layer.nonzero().squeeze(1))
        assert torch.equal(found, order[number, pixels])


def test_no_more_layers_than_the_limit(cameras, monkeypatch):
    corners = torch.tensor([[-9.0, -9.0, 0.0], [9.0, -9.0, 0.0], [0.0, 9.0, 0.0]])
    shifts = torch.linspace(0, 0.1, MAX_LAYERS + 9)[:, None, None] * torch.ones(3)
    verts = (corners + shifts).reshape(-1, 3)
    mesh = Mesh(verts, torch.arange(len(verts)).view(-1, 3))
    packed, _ = project_meshes([mesh], cameras(1))
    is_wanted = torch.ones(1, 4, 4, dtype=torch.bool)
    whole = hidden_layers(packed, is_wanted)
    assert len(whole) <= MAX_LAYERS - 1
    monkeypatch.setattr("get3d.render.layers._KEPT_AT_ONCE", 10)
    for first, second in zip(whole, hidden_layers(packed, is_wanted), strict=True):
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
    none = hidden_layers(packed, torch.zeros(1, 4, 4, dtype=torch.bool))
    assert none == []
