import json
import math
from dataclasses import replace

import pytest
import torch
import trimesh

from get3d.apps.latent import ShapeFiles
from get3d.core import ConfigError, Material, Mesh, TexturedMesh
from get3d.export import Placement, encode_glb, place, save


@pytest.fixture
def wedge() -> TexturedMesh:
    """A tetrahedron, 1 wide, 2 high and 4 deep, away from the origin, with a normal up."""
    verts = torch.tensor([[1.0, 3, 5], [2, 3, 5], [1, 5, 5], [1, 3, 9]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    return TexturedMesh(
        mesh=Mesh(verts, faces),
        uvs=torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]]),
        uv_faces=faces,
        materials=(Material(texture=torch.rand(8, 8, 4)),),
        face_material=torch.zeros(4, dtype=torch.int64),
        normals=torch.tensor([[0.0, 1, 0]]).expand(4, 3),
    )


def box(mesh: TexturedMesh) -> list[list[float]]:
    return [mesh.mesh.verts.amin(0).tolist(), mesh.mesh.verts.amax(0).tolist()]


def test_nothing_changes_unless_told(wedge: TexturedMesh) -> None:
    placed = place(wedge, Placement())
    assert torch.equal(placed.mesh.verts, wedge.mesh.verts)
    assert placed.notes == ()


def test_pivot_size_and_up(wedge: TexturedMesh) -> None:
    assert box(place(wedge, Placement(pivot="centre"))) == [[-0.5, -1, -2], [0.5, 1, 2]]
    assert box(place(wedge, Placement(pivot="bottom"))) == [[-0.5, 0, -2], [0.5, 2, 2]]
    placed = place(wedge, Placement(pivot="bottom", size=1.0, up="z"))
    assert box(placed) == [[-0.125, -0.5, 0], [0.125, 0.5, 0.5]]  # 0.5 high along z
    assert placed.normals is not None
    assert placed.normals[0].tolist() == [0, 0, 1]
    assert placed.notes == ("scaled to a longest side of 1 m", "origin at the bottom", "z is up")
    # A rotation, not a mirror image: faces still wind outward.
    volumes = [
        trimesh.Trimesh(each.mesh.verts, each.mesh.faces, process=False).volume
        for each in (place(wedge, Placement(up="z")), wedge)
    ]
    assert volumes[0] == pytest.approx(volumes[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0.0}, "size must be positive and finite, got 0"),
        ({"size": -1.0}, "size must be positive"),
        ({"size": math.inf}, "size must be positive"),
    ],
)
def test_wrong_placements(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Placement(**options)


def test_usdz_files_have_y_up() -> None:
    with pytest.raises(ConfigError, match="up must be y in usdz"):
        ShapeFiles(suffix=".usdz", placement=Placement(up="z"))


def names_in(glb: bytes) -> dict[str, list[str]]:
    document = json.loads(glb[20 : 20 + int.from_bytes(glb[12:16], "little")])
    kinds = ("nodes", "meshes", "materials", "images")
    return {kind: [item["name"] for item in document[kind]] for kind in kinds}


def test_everything_in_a_glb_is_named_after_the_shape(wedge: TexturedMesh, tmp_path) -> None:
    save(wedge, tmp_path / "mug 7.glb")
    assert names_in((tmp_path / "mug 7.glb").read_bytes()) == {
        "nodes": ["mug 7"],
        "meshes": ["mug 7"],
        "materials": ["mug 7"],
        "images": ["mug 7_base_color"],
    }
    several = replace(
        wedge,
        materials=(*wedge.materials, replace(wedge.materials[0], name="glass")),
        face_material=torch.tensor([0, 0, 1, 1]),
    )
    found = names_in(encode_glb(several, name="mug"))
    assert found["materials"] == ["mug", "glass"]
    assert found["images"] == ["mug_mug_base_color", "mug_glass_base_color"]
