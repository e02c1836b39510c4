"""Files with random damage: they are read, or one line says why not."""

import random
import struct
import warnings
from pathlib import Path

import pytest
import torch

from get3d.core import DataError, MeshError
from get3d.data import load_mesh

OBJ = b"""mtllib a.mtl
#MRGB ff0000ff
v 0 0 0 1 0 0
v 1 0 0 0 1 0
v 1 1 0
v 0 1 0.5
vt 0 0
vt 1 0
vt 1 1
vn 0 0 1
vn 0 1 0
usemtl a
f 1/1/1 2/2/2 3/3/1
usemtl b
f -4 -3 -2 -1
f 1//1 3//2 4//1
f 1/1 3/2 4/3 2/1 1/2
"""
MTL = b"""newmtl a
Kd 0.5 0.5 0.5
d 0.5
Ke 1 1 1
map_Kd -s 2 2 1 -o 0.5 0 0 -clamp on tex.png
map_d tex.png
newmtl b
Kd 255 0 0
Tr 0.25
map_Ke tex.png
norm -bm 0.5 tex.png
map_Pr tex.png
Pm 0.5
"""
PLY = b"""ply
format ascii 1.0
comment TextureFile tex.png
element vertex 4
property float x
property float y
property float z
property ushort red
property ushort green
property ushort blue
element face 2
property list uchar int vertex_indices
property list uchar float texcoord
property int texnumber
end_header
"""
PLY_ROWS = b"""0 0 0 1 2 3
1 0 0 1 2 3
1 1 0 1 2 3
0 1 0 1 2 3
3 0 1 2 6 0 0 1 0 1 1 0
4 0 1 2 3 8 0 0 1 0 1 1 0 1 0
"""
BINARY = PLY.replace(b"ascii", b"binary_little_endian") + b"".join(
    [
        *(
            struct.pack("<3f3H", *row, 9, 9, 9)
            for row in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0))
        ),
        struct.pack("<B3iB6fi", 3, 0, 1, 2, 6, 0, 0, 1, 0, 1, 1, 0),
        struct.pack("<B4iB8fi", 4, 0, 1, 2, 3, 8, 0, 0, 1, 0, 1, 1, 0, 1, 0),
    ]
)
OFF = b"COFF\n4 2 0\n0 0 0 9 9 9\n1 0 0 9 9 9\n1 1 0 9 9 9\n0 1 0 9 9 9\n3 0 1 2 1 2 3\n4 0 1 2 3\n"
STL = (
    b"solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\n"
)
WORDS = (
    b"nan inf -1 0 1e39 99999999999999999999 / // \\\n \xe9 \x00 # -s usemtl -clamp 1.#IND element "
    b"3 255 \r list -2147483648 65536 4294967295"
).split(b" ")


def damaged(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at : at + rng.randrange(12)] = rng.choice(WORDS)
            case 2:
                del data[at:]
            case 3:
                data[at:at] = data[at : at + rng.randrange(40)]
            case _:
                words = bytes(data).split(b" ")
                words[rng.randrange(len(words))] = rng.choice(WORDS)
                data = bytearray(b" ".join(words))
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "content", "num"),
    [
        ("a.obj", OBJ, 100),
        ("a.mtl", MTL, 100),
        ("a.ply", PLY + PLY_ROWS, 100),
        ("b.ply", BINARY, 100),
        ("a.off", OFF, 50),
        ("a.stl", STL, 50),
    ],
)
def test_damage_gives_one_line_or_a_mesh(folder: Path, name: str, content: bytes, num: int) -> None:
    (folder / "a.obj").write_bytes(OBJ)
    (folder / "a.mtl").write_bytes(MTL)
    path = folder / ("a.obj" if name == "a.mtl" else name)
    for seed in range(num):
        (folder / name).write_bytes(damaged(random.Random(seed), content))
        reason = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                mesh = load_mesh(path)
        except (MeshError, DataError) as error:
            reason = str(error)
        if reason:
            assert reason.startswith(str(path))
            assert "\n" not in reason
            continue
        num_verts, num_uvs = len(mesh.mesh.verts), max(len(mesh.uvs), 1)
        assert 0 <= int(mesh.mesh.faces.min()) <= int(mesh.mesh.faces.max()) < num_verts
        assert 0 <= int(mesh.uv_faces.min()) <= int(mesh.uv_faces.max()) < num_uvs
        assert 0 <= int(mesh.face_material.max()) < len(mesh.materials)
        for values in (mesh.mesh.verts, mesh.uvs, mesh.vert_colors, mesh.normals):
            assert values is None or bool(torch.isfinite(values).all())
        if mesh.normals is not None:
            faces = mesh.mesh.faces if mesh.normal_faces is None else mesh.normal_faces
            assert int(faces.max()) < len(mesh.normals)
