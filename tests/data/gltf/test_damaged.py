"""Damaged, lying and hostile glTF files give one line, quickly."""

import json
import os
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from get3d.core import MeshError
from get3d.data import MeshFileError, load_mesh
from get3d.data.gltf import read_gltf
from tests.data.gltf.files import CORNERS, SQUARE, Gltf, look, png

NUM_MUTANTS = int(os.environ.get("GET3D_FUZZ", "200"))


def rich() -> Gltf:
    """A file with something of everything that is read."""
    gltf = Gltf()
    up = gltf.accessor([[0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 2, 0]])
    position = gltf.accessor(CORNERS)
    places = {"bufferView": gltf.view(np.array([3], "<u2").tobytes()), "componentType": 5123}
    corner = {"bufferView": gltf.view(np.array(CORNERS[3], "<f4").tobytes())}
    gltf.root["accessors"][position]["sparse"] = {"count": 1, "indices": places, "values": corner}
    transform = {"KHR_texture_transform": {"offset": [0.5, 0], "scale": [0.5, 0.5]}}
    texture = gltf.texture(wrapS=33071, magFilter=9728) | {"extensions": transform}
    material = gltf.material(
        [1, 1, 1, 0.5], texture, emissiveTexture=gltf.texture(), emissiveFactor=[1, 0, 0],
        alphaMode="BLEND", name="glass",
    )  # fmt: skip
    attributes = {
        "COLOR_0": gltf.accessor([[255, 0, 0, 255]] * 4, "u1", normalized=True),
        "NORMAL": gltf.accessor([[0, 0, 127]] * 4, "i1", normalized=True, pad=1),
        "JOINTS_0": gltf.accessor([[0, 1, 0, 0]] * 4, "u1"),
        "WEIGHTS_0": gltf.accessor([[1, 3, 0, 0]] * 4),
    }
    square = gltf.square(attributes=attributes, targets=[{"POSITION": up}], material=material)
    joints = [gltf.add("nodes", translation=[x, 0, 0]) for x in (0, 8)]
    bind = gltf.accessor(np.tile(np.eye(4).flatten(), (2, 1)))
    gltf.add("skins", joints=joints, inverseBindMatrices=bind)
    skinned = gltf.node(square, mesh={"weights": [0.5]}, skin=0)
    instancing = {"attributes": {"TRANSLATION": gltf.accessor([[0, 0, 0], [3, 0, 0]])}}
    fan = gltf.square(mode=6, indices=gltf.accessor([0, 1, 2, 3], "u1"))
    placed = gltf.node(fan, extensions={"EXT_mesh_gpu_instancing": instancing}, scale=[1, 2, 3])
    top = gltf.add("nodes", children=[skinned, placed], matrix=np.eye(4).flatten().tolist())
    gltf.root |= {"scene": 0, "scenes": [{"nodes": [*joints, top]}]}
    gltf.root["extensionsRequired"] = ["EXT_mesh_gpu_instancing", "KHR_texture_transform"]
    return gltf


@pytest.mark.parametrize(
    ("required", "message"),
    [
        ([1], "extensionsRequired is not a list of names"),
        (None, "extensionsRequired is not a list of names"),
        ({"a": 1}, "extensionsRequired is not a list of names"),
        (["KHR_draco_mesh_compression", "EXT_x"], "needs EXT_x, KHR_draco_mesh_compression, which"),
        (["KHR_texture_basisu"], "needs KHR_texture_basisu"),
    ],
)
def test_required_extensions(tmp_path, required, message) -> None:
    gltf = Gltf()
    gltf.node(gltf.square())
    gltf.root["extensionsRequired"] = required
    with pytest.raises(MeshFileError, match=message):
        load_mesh(gltf.gltf(tmp_path / "a.gltf"))


def test_counts_out_of_proportion_are_refused(tmp_path) -> None:
    """Small files that call for gigabytes: without a view, and by instances."""
    zeros, crowd, deep, far = Gltf(), Gltf(), Gltf(), Gltf()
    square = zeros.square(uvs=None)
    square["attributes"]["POSITION"] = zeros.add(
        "accessors", componentType=5126, count=150_000_000, type="VEC3"
    )
    zeros.node(square)
    mesh = crowd.node({"attributes": {"POSITION": crowd.accessor(np.ones((30_000, 3)))}})
    for _ in range(2000):
        crowd.add("nodes", mesh=mesh)
    deep.node(deep.square())
    deep.root["extras"] = None
    far.node(far.square())
    far.root["accessors"][0]["count"] = 1 << 62
    begin = time.monotonic()
    tracemalloc.start()
    with pytest.raises(MeshFileError, match="150000000 elements without content"):
        load_mesh(zeros.gltf(tmp_path / "a.gltf"))
    assert tracemalloc.get_traced_memory()[1] < 1e7
    tracemalloc.stop()
    for gltf in (crowd, far):
        with pytest.raises(MeshFileError):
            load_mesh(gltf.gltf(tmp_path / "a.gltf"))
    text = json.dumps(deep.root).replace("null", "[" * 100_000 + "]" * 100_000)
    (tmp_path / "a.gltf").write_text(text)
    with pytest.raises(MeshFileError, match="no valid JSON"):
        load_mesh(tmp_path / "a.gltf")
    assert time.monotonic() - begin < 60


def test_only_regular_files_are_opened(tmp_path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "pipe.bin")
    (tmp_path / "folder.bin").mkdir()
    gltf = Gltf()
    gltf.node(gltf.square())
    for name in ("pipe.bin", "folder.bin", "gone.bin", "a\0b", "http://a.b/c.bin", "x" * 5000):
        with pytest.raises(MeshFileError, match=r"cannot be read .*buffer 0.* export it again"):
            load_mesh(gltf.gltf(tmp_path / "a.gltf", uri=name))
    os.mkfifo(tmp_path / "pipe.glb")
    with pytest.raises((MeshFileError, FileNotFoundError)):
        load_mesh(tmp_path / "pipe.glb")


def test_images_that_are_too_large_or_pipes_are_left_out(tmp_path) -> None:
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR"
    huge += struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    huge += struct.pack(">I", zlib.crc32(huge[12:])) + struct.pack(">I", 64) + b"IDAT" + bytes(68)
    gltf = Gltf()
    sources = [gltf.add("images", bufferView=gltf.view(huge))]
    losses = ["image 0 is too large"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        sources.append(gltf.add("images", uri="pipe.png"))
        losses.append(
            "an image pipe.png is missing, no regular file or too far above the mesh file"
        )
    for source in sources:
        texture = {"index": gltf.add("textures", source=source)}
        gltf.node(gltf.square(material=gltf.material(texture=texture)))
    assert list(load_mesh(gltf.glb(tmp_path / "a.glb")).losses) == losses


def damaged(change: Callable[[Gltf], object]) -> Gltf:
    gltf = Gltf()
    gltf.node(gltf.square(material=gltf.material()))
    change(gltf)
    return gltf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.root["nodes"][0].update(children=[0]), "their own ancestors"),
        (lambda g: g.root["nodes"].extend([{"children": [0]}] * 2), "several parents"),
        (lambda g: g.root["nodes"][0].update(children=[7]), "node that does not exist"),
        (lambda g: g.root["nodes"][0].update(mesh=-1), "mesh -1 does not exist"),
        (lambda g: g.root["nodes"][0].update(skin=0), "skin 0 does not exist"),
        (lambda g: g.root.update(scenes=[], scene=3), None),
        (lambda g: g.root.update(scenes=[{}], scene=3), "scene 3 does not exist"),
        (lambda g: g.root["accessors"][0].update(count=5), "beyond the end of its buffer view"),
        (lambda g: g.root["accessors"][0].update(count=3), "vertex 3 of 3"),
        (lambda g: g.root["accessors"][0].update(componentType=5130), "unknown type"),
        (lambda g: g.root["accessors"][0].update(type="VEC2"), "2 components instead of 3"),
        (lambda g: g.root["bufferViews"][0].update(byteStride=4), "overlap"),
        (lambda g: g.root["bufferViews"][0].update(byteOffset=1 << 30), "beyond the end"),
        (lambda g: g.root["bufferViews"][0].update(byteLength=-1), "byteLength"),
        (lambda g: g.root.update(buffers=[{"byteLength": 1 << 20}]), "has no content"),
        (lambda g: g.root.update(asset={"version": "1.0"}), "glTF 1.0"),
        (lambda g: g.root.update(meshes=[[]]), "is not an object"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, message) -> None:
    path = damaged(change).gltf(tmp_path / "a.gltf")
    if message is None:
        load_mesh(path)
        return
    with pytest.raises(MeshFileError, match=message) as caught:
        load_mesh(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", [[0, 1, 4], [*SQUARE, 9]])
def test_indices_beyond_the_vertices(tmp_path, order) -> None:
    gltf = Gltf()
    gltf.node(gltf.square(indices=gltf.accessor(order, "u1")))
    with pytest.raises(MeshFileError, match="names vertex"):
        load_mesh(gltf.glb(tmp_path / "a.glb"))


def test_mutants_raise_mesh_errors_alone(tmp_path: Path) -> None:
    """Fixed seeds; GET3D_FUZZ=20000 for a longer run."""
    gltf, path = rich(), tmp_path / "a.glb"
    whole = gltf.glb(path).read_bytes()
    look(path)
    assert load_mesh(path).losses == ()
    begin, num_read = time.monotonic(), 0
    for seed in range(NUM_MUTANTS):
        rng = random.Random(seed)
        if seed % 2:
            path.write_bytes(flip_bytes(whole, rng))
        else:
            root = json.loads(json.dumps(gltf.root))
            mutate(root, rng)
            mutant = Gltf()
            mutant.root, mutant.binary = root, gltf.binary
            mutant.glb(path)
        try:
            read_gltf(path)  # without the check of finite positions
            num_read += 1
        except MeshError as error:
            assert "\n" not in str(error), seed  # noqa: PT017
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    assert num_read > NUM_MUTANTS // 10
    assert time.monotonic() - begin < 0.1 * NUM_MUTANTS + 20


def flip_bytes(whole: bytes, rng: random.Random) -> bytes:
    """Change a few bytes, or cut the file off."""
    content = bytearray(whole)
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content[: rng.randrange(len(content))] if rng.random() < 0.2 else content)


def mutate(root: dict, rng: random.Random) -> None:
    """Replace one to three values of the JSON document, or leave them out."""
    odd = [None, True, -1, 0, 1, 3.5, 1e300, 1 << 70, "", "x", [], {}, [[]], float("nan"), 5121]
    for _ in range(rng.randint(1, 3)):
        places = list(walk(root))
        owner, key = rng.choice(places)
        if rng.random() < 0.2 and isinstance(owner, dict):
            del owner[key]
        else:
            owner[key] = rng.choice(odd)


def walk(value):
    """List all places of a JSON document, as pairs of a container and a key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(items):
        yield value, key
        if isinstance(child, dict | list):
            yield from walk(child)


@pytest.mark.parametrize("climb", ["../../", "../../../"])
def test_images_far_above_are_not_read(tmp_path: Path, climb: str) -> None:
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    (folder / climb / "x.png").write_bytes(png(np.zeros((2, 2, 3), np.uint8)))
    gltf = Gltf()
    texture = {"index": gltf.add("textures", source=gltf.add("images", uri=f"{climb}x.png"))}
    gltf.node(gltf.square(material=gltf.material(texture=texture)))
    losses = load_mesh(gltf.glb(folder / "a.glb")).losses
    assert bool(losses) == (climb == "../../../")
