"""Meshes keep their place, their colours and their faces, whatever file they come in."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial

from get3d.core import EncodedTexture, TexturedMesh
from get3d.data.mesh_files import MeshFileError, find_meshes, load_mesh, normalize_mesh
from get3d.render import material_channels


def triangle_areas(textured_mesh: TexturedMesh) -> torch.Tensor:
    corners = textured_mesh.mesh.verts[textured_mesh.mesh.faces]
    return (
        torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
        / 2
    )


def volume(textured_mesh: TexturedMesh) -> float:
    corners = textured_mesh.mesh.verts[textured_mesh.mesh.faces].double()
    return float(torch.linalg.det(corners).sum() / 6)


def textured_square(**material: object) -> trimesh.Trimesh:
    """A unit square whose image is red, green, blue and white in its four quarters."""
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    pixels = np.concatenate([pixels, np.full((2, 2, 1), 100, np.uint8)], axis=2)
    verts = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    visual = trimesh.visual.TextureVisuals(
        uv=verts[:, :2],
        material=PBRMaterial(baseColorTexture=Image.fromarray(pixels), **material),
    )
    return trimesh.Trimesh(verts, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


@pytest.mark.parametrize("suffix", ["glb", "gltf", "obj", "ply", "stl", "off"])
def test_every_format_gives_the_same_box(tmp_path: Path, suffix: str) -> None:
    box = trimesh.creation.box(extents=(1.0, 2.0, 3.0))
    box.apply_translation((5.0, -2.0, 1.0))
    folder = tmp_path / "x"
    folder.mkdir()
    path = folder / f"box.{suffix}"
    if suffix == "gltf":
        for name, content in trimesh.exchange.gltf.export_gltf(trimesh.Scene(box)).items():
            (folder / name).write_bytes(content)
        path = folder / "model.gltf"
    else:
        box.export(path)
    loaded = load_mesh(path)
    assert loaded.mesh.verts.dtype == torch.float32
    assert loaded.mesh.faces.shape == (12, 3)
    assert volume(loaded) == pytest.approx(6.0, rel=1e-4)
    assert torch.allclose(loaded.mesh.verts.amin(0), torch.tensor([4.5, -3.0, -0.5]), atol=1e-5)
    normal = normalize_mesh(loaded, longest_side=0.9)
    extent = normal.mesh.verts.amax(0) - normal.mesh.verts.amin(0)
    assert torch.allclose(extent, torch.tensor([0.3, 0.6, 0.9]), atol=1e-5)
    assert (normal.mesh.verts.amax(0) + normal.mesh.verts.amin(0)).abs().max() < 1e-5
    assert load_mesh(path, dtype=torch.float64).mesh.verts.dtype == torch.float64


def test_scenes_are_flattened_with_their_transforms(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    scene = trimesh.Scene()
    scene.add_geometry(box, node_name="a", geom_name="box")
    mirrored = np.diag([-2.0, 1.0, 1.0, 1.0])
    mirrored[:3, 3] = (4.0, 0.0, 0.0)
    scene.graph.update(frame_to="b", matrix=mirrored, geometry="box")
    scene.export(tmp_path / "two.glb")
    loaded = load_mesh(tmp_path / "two.glb")
    assert len(loaded.mesh.faces) == 24
    assert float(loaded.mesh.verts[:, 0].max()) == pytest.approx(5.0)
    # The mirrored one is turned the right way round, or its volume would count negative.
    assert volume(loaded) == pytest.approx(3.0, rel=1e-5)


def test_normals_follow_mirrors_and_squashing(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    _ = ball.vertex_normals
    scene = trimesh.Scene()
    scene.add_geometry(ball, geom_name="ball", transform=np.diag([-3.0, 0.5, 1.0, 1.0]))
    (tmp_path / "ball.glb").write_bytes(scene.export(file_type="glb", include_normals=True))
    loaded = load_mesh(tmp_path / "ball.glb")
    assert loaded.normals is not None
    expected = loaded.mesh.verts / torch.tensor([3.0, 0.5, 1.0]) ** 2
    expected = torch.nn.functional.normalize(expected, dim=1)
    assert torch.allclose(loaded.normals, expected, atol=0.02)


def test_image_orientation_and_factor(tmp_path: Path) -> None:
    square = textured_square(baseColorFactor=[0.5, 1.0, 1.0, 0.5])
    square.export(tmp_path / "square.glb")
    loaded = load_mesh(tmp_path / "square.glb")
    (material,) = loaded.materials
    assert isinstance(material.texture, EncodedTexture)
    texels = material.texture.decode()
    assert texels[0, 0, :3].tolist() == [255, 0, 0]  # row 0 is the top, v = 1
    corner = loaded.mesh.verts[loaded.mesh.faces[0, 0]][:2]
    assert torch.allclose(loaded.uvs[loaded.uv_faces[0, 0]], corner)
    # A glTF factor is linear light already; alpha is unused in an opaque material.
    assert material.base_color == pytest.approx((0.5, 1.0, 1.0, 1.0), abs=0.003)
    assert (texels[..., 3] == 255).all()


def test_a_part_without_coordinates_leaves_the_others_their_image(tmp_path: Path) -> None:
    square = textured_square(baseColorFactor=[0.5, 1.0, 1.0, 1.0])
    bare = trimesh.creation.box()
    bare.visual = trimesh.visual.TextureVisuals(material=square.visual.material)
    trimesh.Scene({"a": bare, "b": square}).export(tmp_path / "shared.glb")
    loaded = load_mesh(tmp_path / "shared.glb")
    textures = [loaded.materials[index].texture for index in loaded.face_material.tolist()]
    assert [texture is not None for texture in textures] == [False] * 12 + [True] * 2


@pytest.mark.parametrize(("mode", "alpha"), [("BLEND", 100 / 255), ("MASK", 0.0), ("OPAQUE", 1.0)])
def test_alpha_counts_only_where_the_file_says_so(tmp_path: Path, mode: str, alpha: float) -> None:
    textured_square(alphaMode=mode).export(tmp_path / "square.glb")
    square = load_mesh(tmp_path / "square.glb")
    assert square.materials[0].alpha_mode == mode
    weights = torch.full((2, 3), 1 / 3)
    found = material_channels(square, torch.tensor([0, 1]), weights)["alpha"]
    assert torch.allclose(found, torch.tensor(alpha))


def test_several_materials_and_colours_meet_in_one_mesh(tmp_path: Path) -> None:
    red = trimesh.creation.box()
    red.visual = trimesh.visual.TextureVisuals(
        material=PBRMaterial(baseColorFactor=[1.0, 0.0, 0.0, 1.0], name="red")
    )
    colored = trimesh.creation.box()
    colored.apply_translation((3, 0, 0))
    colored.visual.vertex_colors = [0, 255, 0, 255]
    scene = trimesh.Scene([red, textured_square(), colored])
    scene.export(tmp_path / "three.glb")
    loaded = load_mesh(tmp_path / "three.glb")
    assert len(loaded.mesh.faces) == 26
    assert len(loaded.face_material) == 26
    names = [loaded.materials[index].name for index in loaded.face_material.tolist()]
    assert names.count("red") == 12
    assert loaded.vert_colors is not None
    is_green = (loaded.vert_colors == torch.tensor([0.0, 1.0, 0.0, 1.0])).all(dim=1)
    assert (loaded.mesh.verts[is_green][:, 0] > 2).all()
    assert (loaded.vert_colors[~is_green] == 1).all()


def test_ply_colours_are_decoded_from_srgb(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    box.visual.vertex_colors = [188, 0, 255, 255]
    box.export(tmp_path / "box.ply")
    colors = load_mesh(tmp_path / "box.ply").vert_colors
    assert colors is not None
    assert torch.allclose(colors, torch.tensor([0.5, 0.0, 1.0, 1.0]), atol=0.005)


def test_face_colours_become_corner_colours(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    box.visual.face_colors = np.array([[255, 0, 0, 255]] * 6 + [[0, 0, 255, 255]] * 6, np.uint8)
    box.export(tmp_path / "box.ply")
    loaded = load_mesh(tmp_path / "box.ply")
    assert loaded.vert_colors is not None
    corners = loaded.vert_colors[loaded.mesh.faces]
    assert (corners == corners[:, :1]).all()
    assert corners[:, 0, 0].sum() == corners[:, 0, 2].sum() == 6
    assert volume(loaded) == pytest.approx(1.0)


def test_obj_materials(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(
        "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "usemtl grey\nf 1 2 3\nusemtl image\nf 1/1 2/2 4/3\n"
    )
    (tmp_path / "a.mtl").write_text(
        "newmtl grey\nKd 0.5 0.5 0.5\nd 0.25\nnewmtl image\nKd 0 0 0\nmap_Kd p.png\n"
    )
    Image.new("RGB", (2, 2), (10, 20, 30)).save(tmp_path / "p.png")
    loaded = load_mesh(tmp_path / "a.obj")
    by_name = {material.name: material for material in loaded.materials}
    assert by_name["grey"].base_color == pytest.approx((0.214, 0.214, 0.214, 0.25), abs=0.001)
    assert by_name["image"].base_color == (1.0, 1.0, 1.0, 1.0)
    assert by_name["image"].texture is not None
    assert loaded.losses == ()
    (tmp_path / "p.png").unlink()
    assert load_mesh(tmp_path / "a.obj").losses == ("image p.png is missing",)
    (tmp_path / "a.mtl").unlink()
    assert "material file a.mtl is missing" in load_mesh(tmp_path / "a.obj").losses


def test_degenerate_faces_stay_and_unused_vertices_go(tmp_path: Path) -> None:
    (tmp_path / "a.off").write_text(
        "OFF\n5 3 0\n0 0 0\n1 0 0\n0 1 0\n900 900 900\n0 0 0\n3 0 1 2\n3 0 0 1\n3 0 1 1\n"
    )
    loaded = load_mesh(tmp_path / "a.off")
    assert len(loaded.mesh.faces) == 3
    assert float(loaded.mesh.verts.max()) == 1.0
    assert (triangle_areas(loaded) == 0).sum() == 2


def test_detail_far_from_the_origin_survives(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere()
    ball.apply_translation((5e6, 5e7, 0))
    ball.export(tmp_path / "far.obj")
    loaded = load_mesh(tmp_path / "far.obj", dtype=torch.float64)
    verts = normalize_mesh(loaded, longest_side=2.0).mesh.verts
    assert (verts.norm(dim=1) - 1).abs().max() < 0.01


def _off(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("points.ply", lambda p: trimesh.PointCloud(np.eye(3)).export(p), "no faces"),
        ("empty.off", _off("OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n"), "no faces"),
        ("nan.off", _off("OFF\n3 1 0\nnan 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"), "1 of 3 vertex.*finite"),
        ("dot.off", _off("OFF\n3 1 0\n1 1 1\n1 1 1\n1 1 1\n3 0 1 2\n"), "no extent"),
        ("index.obj", _off("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"), "cannot be read"),
        ("void.glb", lambda p: p.write_bytes(b""), "cannot be read"),
        ("noise.glb", lambda p: p.write_bytes(bytes(range(256)) * 4), "cannot be read"),
        ("void.obj", _off(""), "(cannot be read|no faces)"),
        ("void.stl", _off("solid\nendsolid\n"), "(cannot be read|no faces)"),
        ("broken.gltf", _off('{"asset": '), "cannot be read"),
        ("packed.gltf", _off('{"extensionsRequired": ["EXT_meshopt_compression"]}'), "EXT_meshopt"),
    ],
)
def test_unusable_files_say_why(
    tmp_path: Path, name: str, write: Callable[[Path], object], reason: str
) -> None:
    write(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MeshFileError, match=f"{name}: .*{reason}") as caught:
            load_mesh(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert caught.value.path == tmp_path / name


def test_truncated_files_raise(tmp_path: Path) -> None:
    textured_square().export(tmp_path / "a.glb")
    whole = (tmp_path / "a.glb").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "a.glb").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(MeshFileError, match="cannot be read"):
            load_mesh(tmp_path / "a.glb")


def test_missing_parts_of_gltf_are_named(tmp_path: Path) -> None:
    files = trimesh.exchange.gltf.export_gltf(trimesh.Scene(textured_square()))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    header = json.loads((tmp_path / "model.gltf").read_text())
    header["images"] = [{"uri": "gone.png"}]
    (tmp_path / "model.gltf").write_text(json.dumps(header))
    assert load_mesh(tmp_path / "model.gltf").losses == (
        "an image gone.png is missing, no regular file or too far above the mesh file",
    )
    for buffer in tmp_path.glob("*.bin"):
        buffer.unlink()
    with pytest.raises(MeshFileError, match="cannot be read"):
        load_mesh(tmp_path / "model.gltf")


def test_finding_meshes(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for path in (tmp_path / "z.GLB", deep / "y.obj", deep / "x.txt", deep / ".hidden.ply"):
        path.write_text("")
    assert find_meshes([tmp_path]) == [deep / "y.obj", tmp_path / "z.GLB"]
    assert find_meshes([str(tmp_path / "z.GLB"), tmp_path, deep]) == find_meshes([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty: no mesh files"):
        find_meshes([tmp_path, tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="gone: no such"):
        find_meshes([tmp_path / "gone"])
    with pytest.raises(FileNotFoundError, match="name at least one"):
        find_meshes([])
    with pytest.raises(MeshFileError, match=r"x\.txt: not a mesh file"):
        find_meshes([deep / "x.txt"])
    with pytest.raises(FileNotFoundError, match="no such mesh file"):
        load_mesh(tmp_path / "gone.glb")


def test_meshes_that_cannot_be_scaled_raise(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "a.stl")
    loaded = load_mesh(tmp_path / "a.stl")
    with pytest.raises(ValueError, match="longest_side must be positive"):
        normalize_mesh(loaded, longest_side=0.0)


def test_images_besides_the_base_colour_may_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "square.mtl").write_text(
        "newmtl a\nKd 1 1 1\nd abc\nPr x\nmap_Pr my rough.png\nnorm bad.exr\n"
        "map_Ke -bm 1 gone.png\n"
    )
    (tmp_path / "bad.exr").write_bytes(b"no image")
    Image.fromarray(np.full((2, 2), 128 * 257, np.uint16)).save(tmp_path / "my rough.png")
    (tmp_path / "square.obj").write_text(
        "mtllib square.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl a\n"
        "f 1/1 2/2 3/3\n"
    )
    loaded = load_mesh(tmp_path / "square.obj")
    (material,) = loaded.materials
    assert material.normal_texture is None
    assert material.base_color[3] == 1.0
    assert material.roughness == 1.0
    assert (material.metallic_roughness_texture.decode()[..., 1] == 128).all()  # 16 bits are scaled
    assert loaded.losses == ("image gone.png is missing", "image bad.exr cannot be read")


def test_too_little_memory_is_no_damaged_file(tmp_path: Path, monkeypatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError

    trimesh.creation.box().export(tmp_path / "box.ply")
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(MemoryError):
        load_mesh(tmp_path / "box.ply")
