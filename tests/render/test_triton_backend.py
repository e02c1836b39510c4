"""The CUDA backend against the reference: interpreted on the CPU, compiled where there is a GPU."""

import importlib.util

import pytest
import torch
from torch import Tensor

from get3d.core.errors import ConfigError
from get3d.core.types import Mesh
from get3d.render import pack_views, project_meshes, torch_backend
from get3d.render.antialiasing import antialias_mask
from get3d.render.rasterizer import choose_backend, rasterize_views
from get3d.render.views import PackedViews, _to_clip_packed

HAS_GPU = torch.cuda.is_available()
HAS_TRITON = importlib.util.find_spec("triton") is not None
MAY_INTERPRET = HAS_TRITON and not HAS_GPU  # tests/conftest.py chooses the interpreter
if HAS_TRITON:
    from get3d.render import triton_backend

interpreted = pytest.mark.skipif(
    not MAY_INTERPRET,
    reason="interprets the kernels: needs the package triton and no GPU",
)
# Masked lanes may compute anything.
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

KINDS = ["plain", "crossing", "huge", "wide_range", "grid", "small", "bad"]


def make_views(
    kind: str, dtype: torch.dtype, num_views: int, num_verts: int, num: int
) -> PackedViews:
    """Random triangles of a kind: several views of one mesh, then another mesh without faces."""
    generator = torch.Generator().manual_seed(KINDS.index(kind) + 9)
    clip = torch.randn(num_views, num_verts, 4, generator=generator, dtype=torch.float64)
    faces = torch.randint(0, num_verts, (num, 3), generator=generator)
    if kind == "small":  # neighbours in space, several per pixel
        clip = clip[:, :1] + 0.1 * clip
    if kind in ("plain", "small", "grid"):
        clip[..., 3] = 1 + clip[..., 3].abs()
    if kind == "huge":
        clip[..., :2] *= 1e5
    if kind == "wide_range":
        clip *= 10.0 ** (torch.rand(clip.shape, generator=generator) * 12 - 6)
    if kind == "grid":  # corners on pixel centres and equal depths: all kinds of ties
        clip[..., :3] = (clip[..., :3] * 8).round() / 8
        clip[..., 3] = 1
    if kind == "bad":
        clip[:, ::7, 2] = torch.nan
        clip[:, 1::11, 3] = torch.inf
        clip[:, 2::13] = 0
    return pack_views([clip.to(dtype), clip[0, :2].to(dtype)], [faces, faces[:0]])


def to_device(views: PackedViews, device: str) -> PackedViews:
    return PackedViews(views.clip.to(device), views.faces.to(device), views.spans)


def assert_same(views: PackedViews, size: tuple[int, int], device: str) -> Tensor:
    """Compare both operations, bit for bit; return the reference."""
    expected = torch_backend.rasterize(views, size)
    there = to_device(views, device)
    assert torch.equal(triton_backend.rasterize(there, size).cpu(), expected)
    crossings = torch_backend.silhouette(views, expected)
    found = triton_backend.silhouette(there, expected.to(device))
    assert torch.equal(found.cpu(), crossings)
    return expected


@interpreted
@pytest.mark.parametrize("kind", KINDS)
def test_interpreted_agrees_with_the_reference_bit_for_bit(kind: str) -> None:
    dtype = torch.float64 if kind == "crossing" else torch.float32
    face_id = assert_same(make_views(kind, dtype, 1, 20, 8), (9, 12), "cpu")
    assert (face_id[-1] == -1).all()
    if kind != "small":
        assert (face_id >= 0).any()


@interpreted
def test_interpreted_draws_meshes_of_small_faces(sphere, cameras) -> None:
    views, _ = project_meshes([sphere(1), sphere(2)], cameras(2))
    face_id = assert_same(views, (24, 20), "cpu")
    assert len(face_id.unique()) > 40


@pytest.mark.skipif(not (MAY_INTERPRET or (HAS_TRITON and HAS_GPU)), reason="needs Triton")
def test_empty_meshes_draw_nothing() -> None:
    no_faces = torch.zeros(0, 3, dtype=torch.int64)
    for corners in (torch.zeros(0, 4), torch.zeros(5, 4), torch.zeros(0, 5, 4)):
        views = to_device(pack_views([corners], [no_faces]), "cuda" if HAS_GPU else "cpu")
        face_id = triton_backend.rasterize(views, (2, 3))
        assert face_id.shape == (len(views), 2, 3)
        assert (face_id == -1).all()
        assert triton_backend.silhouette(views, face_id).shape == (2, 0)


@interpreted
def test_an_index_out_of_range_draws_nothing() -> None:
    corners = torch.tensor([[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]])
    spans = torch.tensor([[0, 0, 2, 0]])
    views = PackedViews(corners, torch.tensor([[0, 1, 3], [-1, 1, 2]]), spans)
    assert (triton_backend.rasterize(views, (3, 3)) == -1).all()


def test_wrong_device_and_missing_triton_are_named(monkeypatch) -> None:
    from get3d.render import rasterizer

    with pytest.raises(ConfigError, match="'triton' works on CUDA tensors, got cpu"):
        choose_backend(torch.device("cpu"), "triton")
    monkeypatch.setattr(rasterizer, "has_triton", lambda: False)
    assert choose_backend(torch.device("cuda"), None) is torch_backend
    with pytest.raises(ConfigError, match="'triton' does not work here"):
        choose_backend(torch.device("cuda"), "triton")


def test_packed_projection_is_that_of_each_mesh(sphere, box, cameras) -> None:
    meshes = [sphere(1), Mesh(torch.zeros(0, 3), torch.zeros(0, 3).long()), box(0.5, 0.4, 0.6)]
    views, _ = project_meshes(meshes, cameras(6), views_per_mesh=2)
    from get3d.geometry.cameras import clip_matrices

    points = torch.cat([mesh.verts for mesh in meshes for _ in range(2)])
    sizes = [(2, mesh.verts.shape[0]) for mesh in meshes]
    packed = _to_clip_packed(points, clip_matrices(cameras(6)), sizes)
    torch.testing.assert_close(packed, views.clip, atol=1e-6, rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_agrees_with_the_reference_bit_for_bit(kind: str, dtype: torch.dtype) -> None:
    assert choose_backend(torch.device("cuda"), None) is triton_backend
    for size in ((21, 30), (3, 50), (130, 257)):
        assert_same(make_views(kind, dtype, 3, 400, 300), size, "cuda")
    for size in ((700, 500), (1, 1)):
        assert_same(make_views(kind, dtype, 1, 400, 20), size, "cuda")


@pytest.mark.gpu
def test_compiled_draws_meshes_and_their_gradients(sphere, torus, cameras) -> None:
    meshes = [sphere(1), torus(40), sphere(5), torus(3)]
    views, _ = project_meshes(meshes, cameras(8), views_per_mesh=2)
    for size in ((64, 64), (256, 200), (1024, 1024)):
        face_id = assert_same(views, size, "cuda")
        assert len(face_id.unique()) > 100
    masks, gradients = [], []
    for device in ("cpu", "cuda"):
        clip = views.clip.detach().to(device, copy=True).requires_grad_()
        there = PackedViews(clip, views.faces.to(device), views.spans)
        mask = antialias_mask(there, rasterize_views(there, (128, 128)))
        mask.square().sum().backward()
        masks.append(mask.detach().cpu())
        gradients.append(clip.grad.cpu())
    # Sums are taken in another order.
    torch.testing.assert_close(*masks, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-3)
    moved = [Mesh(mesh.verts.cuda(), mesh.faces.cuda()) for mesh in meshes]
    there, _ = project_meshes(moved, cameras(8).to(torch.device("cuda")), views_per_mesh=2)
    torch.testing.assert_close(there.clip.cpu(), views.clip, atol=1e-6, rtol=1e-6)
