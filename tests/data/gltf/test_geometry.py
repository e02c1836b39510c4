"""Core glTF geometry, checked against numbers by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from get3d.data import MeshFileError, load_mesh
from tests.data.gltf.files import (
    BLUE,
    CORNERS,
    GREEN,
    QUARTERED,
    QUARTERS,
    RED,
    SQUARE,
    UVS,
    Gltf,
    look,
    png,
)


def box(path: Path) -> list[list[float]]:
    verts = load_mesh(path, dtype=torch.float64).mesh.verts
    return [[round(value, 4) for value in each.tolist()] for each in (verts.amin(0), verts.amax(0))]


@pytest.mark.parametrize("dtype", ["i1", "i2", "u1", "u2"])
@pytest.mark.parametrize("is_normalized", [True, False])
def test_quantised_positions_beside_float_ones(tmp_path, dtype, is_normalized) -> None:
    """KHR_mesh_quantization: fractions of the largest value, or integers that a node scales."""
    gltf = Gltf()
    largest = np.iinfo(f"<{dtype}").max
    low = 0 if dtype[0] == "u" else -largest
    verts = [[low, low, 0], [largest, low, 0], [largest, largest, 0]]
    position = gltf.accessor(verts, dtype, normalized=is_normalized, pad=-3 * int(dtype[1]) % 4)
    scale = {} if is_normalized else {"scale": [1 / largest] * 3}
    gltf.node({"attributes": {"POSITION": position}}, **scale)
    gltf.node(gltf.square(uvs=None), translation=[3, 0, 0], scale=[0.5, 0.5, 0.5])
    gltf.root["extensionsRequired"] = ["KHR_mesh_quantization"]
    expected = 0.0 if dtype[0] == "u" else -1.0
    assert box(gltf.glb(tmp_path / "a.glb")) == [[expected, min(expected, -0.5), 0], [3.5, 1, 0]]


@pytest.mark.parametrize(
    ("dtype", "unit", "is_normalized"),
    [("u1", 255, True), ("u2", 65535, True), ("i2", 32767, True), ("f4", 1, False)],
)
def test_texture_coordinates_of_every_type(tmp_path, dtype, unit, is_normalized) -> None:
    gltf = Gltf()
    uv = gltf.accessor(np.array(UVS) * unit, dtype, normalized=is_normalized, pad=4)
    square = gltf.square(uvs=None, attributes={"TEXCOORD_0": uv})
    gltf.node(square | {"material": gltf.material(texture=gltf.texture())})
    np.testing.assert_allclose(look(gltf.glb(tmp_path / "a.glb")), QUARTERED, atol=1)


@pytest.mark.parametrize(
    ("dtype", "unit", "size"), [("u1", 255, 3), ("u2", 65535, 4), ("f4", 1, 4), ("f4", 1, 3)]
)
def test_vertex_colours_are_linear_and_opaque_materials_ignore_their_alpha(
    tmp_path, dtype, unit, size
) -> None:
    gltf = Gltf()
    color = np.array([[1, 0.5, 0.25, 0]] * 4)[:, :size] * unit
    color = gltf.accessor(color, dtype, normalized=dtype != "f4")
    gltf.node(gltf.square(uvs=None, attributes={"COLOR_0": color}, material=gltf.material()))
    seen = look(gltf.glb(tmp_path / "a.glb"))
    assert np.abs(seen - [255, 188, 137, 255]).max() <= 1


def test_sparse_accessors_with_and_without_a_view(tmp_path) -> None:
    gltf = Gltf()
    flat = np.array(CORNERS, float)
    flat[3] = 0
    whole = gltf.accessor(flat)
    ends = {"bufferView": gltf.view(np.array([3], "<u2").tobytes()), "componentType": 5123}
    corner = {"bufferView": gltf.view(np.array(CORNERS[3], "<f4").tobytes())}
    gltf.root["accessors"][whole]["sparse"] = {"count": 1, "indices": ends, "values": corner}
    gltf.node({"attributes": {"POSITION": whole}, "indices": gltf.accessor(SQUARE, "u1")})
    all_places = {
        "bufferView": gltf.view(np.arange(4, dtype="<u4").tobytes()),
        "componentType": 5125,
    }
    values = {"bufferView": gltf.view(np.array(CORNERS, "<f4").tobytes())}
    empty = gltf.add(
        "accessors",
        componentType=5126,
        count=4,
        type="VEC3",
        sparse={"count": 4, "indices": all_places, "values": values},
    )
    gltf.node({"attributes": {"POSITION": empty}}, translation=[5, 0, 0])
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert sorted(loaded.mesh.verts[:4].tolist()) == sorted(np.array(CORNERS, float).tolist())
    assert box(tmp_path / "a.glb") == [[-1, -1, 0], [6, 1, 0]]


@pytest.mark.parametrize(
    ("mode", "order"),
    [(4, SQUARE), (5, [3, 0, 2, 1]), (6, [0, 1, 2, 3]), (5, [3, 3, 3, 0, 2, 1, 1])],
)
@pytest.mark.parametrize("is_indexed", [True, False])
def test_strips_and_fans(tmp_path, mode, order, is_indexed) -> None:
    gltf = Gltf()
    material = gltf.material(texture=gltf.texture())
    if is_indexed:
        square = gltf.square(mode=mode, indices=gltf.accessor(order, "u1"), material=material)
    else:
        corners, uvs = np.array(CORNERS)[order], np.array(UVS)[order]
        square = gltf.square(corners=corners, uvs=uvs, mode=mode, material=material)
        del square["indices"]
    gltf.node(square)
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    corners = loaded.mesh.verts[loaded.mesh.faces]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normal[normal.norm(dim=1) > 0][:, 2] > 0).all()  # all face the camera
    np.testing.assert_array_equal(look(loaded), QUARTERED)


def test_matrices_and_trs_down_the_hierarchy(tmp_path) -> None:
    """A quarter turn about z, twice, with scale and a mirror between."""
    gltf = Gltf()
    leaf = gltf.node(gltf.square(uvs=None), scale=[2, 1, 1], rotation=[0, 0, 0.5**0.5, 0.5**0.5])
    mirror = np.diag([-1.0, 1, 1, 1])
    mirror[:3, 3] = (4, 0, 0)
    middle = gltf.add("nodes", matrix=mirror.T.flatten().tolist(), children=[leaf])
    top = gltf.add("nodes", translation=[0, 10, 0], children=[middle])
    gltf.node(gltf.square(uvs=None), translation=[100, 0, 0])  # in no scene
    gltf.add("scenes", nodes=[])
    gltf.add("scenes", nodes=[top])
    gltf.root["scene"] = 1
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert box(tmp_path / "a.glb") == [[3, 8, 0], [5, 12, 0]]
    corners = loaded.mesh.verts[loaded.mesh.faces]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normal[:, 2] > 0).all()  # the mirrored faces are turned


@pytest.mark.parametrize("is_required", [True, False])
def test_instances(tmp_path, is_required) -> None:
    gltf = Gltf()
    places = {
        "TRANSLATION": gltf.accessor([[-2, 0, 0], [2, 0, 0]]),
        "ROTATION": gltf.accessor([[0, 0, 0, 32767], [0, 0, 23170, 23170]], "i2", normalized=True),
        "SCALE": gltf.accessor([[1, 1, 1], [0.5, 1, 1]]),
    }
    instancing = {"EXT_mesh_gpu_instancing": {"attributes": places}}
    gltf.node(gltf.square(uvs=None), extensions=instancing)
    if is_required:
        gltf.root["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert len(loaded.mesh.faces) == 4
    verts = loaded.mesh.verts.double()
    assert box(tmp_path / "a.glb")[0] == pytest.approx([-3, -1, 0], abs=1e-3)
    assert float(verts[verts[:, 0] > 0, 1].max()) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("owner", ["mesh", "node"])
def test_morph_targets_with_their_default_weights(tmp_path, owner) -> None:
    gltf = Gltf()
    up = gltf.accessor([[0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 2, 0]])
    square = gltf.square(uvs=None, targets=[{"POSITION": up}, {"POSITION": up}])
    mesh = {"weights": [1.0, 0.0] if owner == "mesh" else [0.0, 9.0]}
    gltf.node(square, mesh=mesh, **({"weights": [0.5, 0.5]} if owner == "node" else {}))
    assert box(gltf.glb(tmp_path / "a.glb")) == [[-1, -1, 0], [1, 3, 0]]


def test_a_skin_in_centimetres_beside_a_floor(tmp_path) -> None:
    """The transform of the skinned node itself does not count; its joints' transforms do."""
    gltf = Gltf()
    body = np.array([[-20, 0, 0], [20, 0, 0], [20, 0, 180], [-20, 0, 180]])
    attributes = {
        "JOINTS_0": gltf.accessor([[1, 0, 0, 9]] * 4, "u1"),  # 9 has no weight
        "WEIGHTS_0": gltf.accessor([[255, 0, 0, 0]] * 4, "u1", normalized=True),
    }
    square = gltf.square(corners=body, uvs=None, attributes=attributes)
    inverse = np.stack([np.eye(4), np.eye(4)])
    inverse[1, :3, 3] = (0, 0, 10)
    bind = gltf.accessor(inverse.transpose(0, 2, 1).reshape(2, 16))
    turn = [-(0.5**0.5), 0, 0, 0.5**0.5]
    first = gltf.add("nodes", translation=[50, 0, 0])
    joint = gltf.add("nodes", scale=[0.01] * 3, rotation=turn)
    gltf.add("skins", joints=[first, joint], inverseBindMatrices=bind)
    gltf.node(square, skin=0, translation=[7, 7, 7])
    floor = np.array([[-1, 0, 1], [1, 0, 1], [1, 0, -1], [-1, 0, -1]])
    gltf.node(gltf.square(corners=floor, uvs=None))
    assert box(gltf.glb(tmp_path / "a.glb")) == [[-1, 0, -1], [1, 1.9, 1]]


def test_vertices_between_joints_are_blended(tmp_path) -> None:
    gltf = Gltf()
    attributes = {
        "JOINTS_0": gltf.accessor([[0, 1, 0, 0]] * 4, "u2"),
        "WEIGHTS_0": gltf.accessor([[1, 3, 0, 0]] * 4),  # need not add up to 1
    }
    joints = [gltf.add("nodes", translation=[x, 0, 0]) for x in (0, 8)]
    gltf.add("skins", joints=joints)
    gltf.node(gltf.square(uvs=None, attributes=attributes), skin=0)
    assert box(gltf.glb(tmp_path / "a.glb")) == [[5, -1, 0], [7, 1, 0]]


def test_parts_without_normals_are_flat_beside_smooth_ones(tmp_path) -> None:
    gltf = Gltf()
    slanted = gltf.accessor([[0, 0, 127], [127, 0, 0]] * 2, "i1", normalized=True, pad=1)
    gltf.node(gltf.square(uvs=None, attributes={"NORMAL": slanted}))
    gltf.node(gltf.square(uvs=None), translation=[3, 0, 0])
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert loaded.normals is not None
    assert loaded.normal_faces is not None
    normals = loaded.normals[loaded.normal_faces]
    assert normals[0].tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert normals[2:].tolist() == [[[0, 0, 1]] * 3] * 2


def test_hidden_nodes_points_and_files_without_nodes(tmp_path) -> None:
    gltf = Gltf()
    points = {"attributes": {"POSITION": gltf.accessor(CORNERS)}, "mode": 0}
    gltf.add("meshes", primitives=[gltf.square(uvs=None), points])
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert len(loaded.mesh.faces) == 2
    assert loaded.losses == ("points and lines are left out",)
    gltf.add("nodes", mesh=0, extensions={"KHR_node_visibility": {"visible": False}})
    with pytest.raises(MeshFileError, match="has no faces"):
        load_mesh(gltf.glb(tmp_path / "a.glb"))


def test_what_gltfpack_writes_by_default(tmp_path) -> None:
    """Unnormalised positions that a node scales, normalised coordinates that a transform scales."""
    gltf = Gltf()
    transform = {"offset": [0, 0], "scale": [16.003664, 16.003664]}
    texture = gltf.texture() | {"extensions": {"KHR_texture_transform": transform}}
    attributes = {
        "POSITION": gltf.accessor([[0, 0, 0], [8191, 0, 0], [8191, 8191, 0], [0, 8191, 0]],
                                  "u2", pad=2),
        "TEXCOORD_0": gltf.accessor(np.array(UVS) * 4095, "u2", normalized=True),
    }  # fmt: skip
    square = {"attributes": attributes, "indices": gltf.accessor(SQUARE, "u2")}
    scale = 2 / 8191
    gltf.node(
        square | {"material": gltf.material(texture=texture)},
        translation=[-1, -1, 0],
        scale=[scale] * 3,
    )
    gltf.root["extensionsRequired"] = ["KHR_mesh_quantization"]
    np.testing.assert_array_equal(look(gltf.glb(tmp_path / "a.glb")), QUARTERED)
    assert load_mesh(tmp_path / "a.glb").losses == ()


def test_addresses_of_files(tmp_path) -> None:
    """Percent-encoded, in the parent's folder, in the address itself, and with backslashes."""
    (tmp_path / "models").mkdir()
    (tmp_path / "été").mkdir()
    names = ["..%2F%C3%A9t%C3%A9/my%20tex.png", "../été/my tex.png", "..\\été\\my tex.png"]
    (tmp_path / "été" / "my tex.png").write_bytes(png(QUARTERS))
    for name in names:
        gltf = Gltf()
        image = gltf.add("images", uri=name)
        texture = {"index": gltf.add("textures", source=image)}
        gltf.node(gltf.square(material=gltf.material(texture=texture)))
        (tmp_path / "models" / "a b.bin").write_bytes(gltf.binary)
        path = gltf.gltf(tmp_path / "models" / "a.gltf", uri="a%20b.bin")
        np.testing.assert_array_equal(look(path), QUARTERED)
    np.testing.assert_array_equal(look(gltf.gltf(tmp_path / "models" / "b.gltf")), QUARTERED)
    assert load_mesh(path).losses == ()


def test_materials_of_parts(tmp_path) -> None:
    gltf = Gltf()
    left, right = (np.array(CORNERS) * [0.5, 1, 1] + [x, 0, 0] for x in (-0.5, 0.5))
    gltf.node(
        gltf.square(corners=left, material=gltf.material([1, 0, 0, 1])),
        gltf.square(corners=right, material=gltf.material([0, 1 / 3, 0, 1])),
    )
    loaded = load_mesh(gltf.glb(tmp_path / "a.glb"))
    assert loaded.materials[1].base_color == (0, 1 / 3, 0, 1)  # not rounded
    seen = look(loaded)
    assert (seen[:, :2, :3] == RED).all()
    assert (seen[:, 2:, 0] == BLUE[0]).all()
    assert (seen[:, 2:, 1] < GREEN[1]).all()
