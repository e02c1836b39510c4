"""Times of rasterising 25.6 thousand faces, with a plain loop and other rasterisers for comparison.

    python benchmarks/rasterize.py [--sizes 64 128 256 512 1024] [--views 8] [--out times.json]
    python benchmarks/rasterize.py --device cuda --views 64

Times are milliseconds per view, the least of several repeats, taken in turn so that a busy moment
hits all alike. "ours" is `rasterize` of one view, "batch" of all views in one call, "mask" the
antialiased mask (search, and plain tensor code) on top of it, "train" mask and backward pass.
With `--device cuda` only our own backends are timed, those on the GPU and the one of the CPU, all
views in one call ("draw") and until the GPU has finished.
"""

import argparse
import importlib.util
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch
import trimesh
from machine import machine_name

from get3d.core.types import Mesh
from get3d.geometry.cameras import orbit_cameras
from get3d.render import antialias_mask, pack_views, project_meshes, rasterize, rasterize_views
from get3d.render.rasterizer import Backend


@numba.njit(nogil=True, error_model="numpy")
def plain_z_buffer(clip, faces, height, width):
    """Rasterise by a plain z-buffer loop, for comparison: no clipping, no fill rule."""
    num = clip.shape[0]
    screen = np.empty((num, 3), np.float32)
    for i in range(num):
        inverse = np.float32(1.0) / clip[i, 3]
        screen[i, 0] = (clip[i, 0] * inverse + np.float32(1.0)) * np.float32(0.5 * width)
        screen[i, 1] = (clip[i, 1] * inverse + np.float32(1.0)) * np.float32(0.5 * height)
        screen[i, 2] = clip[i, 2] * inverse
    nearest = np.full((height, width), np.float32(1.0))
    seen = np.full((height, width), np.int32(-1))
    for face in range(faces.shape[0]):
        a, b, c = faces[face]
        xa, ya, za = screen[a]
        xb, yb, zb = screen[b]
        xc, yc, zc = screen[c]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0.0:
            continue
        left = max(int(np.ceil(min(xa, min(xb, xc)) - 0.5)), 0)
        right = min(int(np.floor(max(xa, max(xb, xc)) - 0.5)), width - 1)
        top = max(int(np.ceil(min(ya, min(yb, yc)) - 0.5)), 0)
        bottom = min(int(np.floor(max(ya, max(yb, yc)) - 0.5)), height - 1)
        inverse = np.float32(1.0) / area
        for row in range(top, bottom + 1):
            y = np.float32(row + 0.5)
            for column in range(left, right + 1):
                x = np.float32(column + 0.5)
                wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * inverse
                wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * inverse
                wc = np.float32(1.0) - wa - wb
                if wa >= 0.0 and wb >= 0.0 and wc >= 0.0:
                    z = wa * za + wb * zb + wc * zc
                    if z < nearest[row, column]:
                        nearest[row, column] = z
                        seen[row, column] = face
    return seen


def make_scene(num_views: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clip-space vertices [views, verts, 4] and faces of a torus seen from all around."""
    shape = trimesh.creation.torus(0.33, 0.14, major_sections=160, minor_sections=80)
    mesh = Mesh(torch.tensor(shape.vertices).float(), torch.tensor(shape.faces).long())
    cameras = orbit_cameras(
        torch.arange(num_views) * (2 * math.pi / num_views),
        torch.linspace(1.0, 1.5, num_views),
        radius=1.4,
        fovy_rad=math.radians(49.0),
    )
    views, _ = project_meshes([mesh], cameras, views_per_mesh=num_views)
    return views.clip.view(num_views, -1, 4).contiguous(), mesh.faces


def own_jobs(
    clip: torch.Tensor, faces: torch.Tensor, size: int
) -> dict[str, tuple[Callable[[], object], int]]:
    """Return calls to time at one size, with the number of views that each renders."""
    num_views = clip.shape[0]
    arrays = clip.numpy(), faces.numpy()
    mask, train = mask_jobs(clip, faces, size, None)

    def plain_batch() -> None:
        for view in arrays[0]:
            plain_z_buffer(view, arrays[1], size, size)

    return {
        "plain": (lambda: plain_z_buffer(arrays[0][0], arrays[1], size, size), 1),
        "ours": (lambda: rasterize(clip[0], faces, size), 1),
        "plain batch": (plain_batch, num_views),
        "batch": (lambda: rasterize(clip, faces, size), num_views),
        "mask": (mask, num_views),
        "train": (train, num_views),
        "torch": (lambda: rasterize(clip[0], faces, size, backend="torch"), 1),
    }


def mask_jobs(
    clip: torch.Tensor, faces: torch.Tensor, size: int, backend: Backend | None
) -> tuple[Callable[[], torch.Tensor], Callable[[], None]]:
    """Draw the antialiased masks of all views; the same and its backward pass."""
    leaf = clip.clone().requires_grad_()
    views = pack_views([leaf], [faces])

    def mask() -> torch.Tensor:
        return antialias_mask(views, rasterize_views(views, size, backend=backend), backend=backend)

    def train() -> None:
        mask().mean().backward(inputs=[leaf])
        leaf.grad = None

    return mask, train


def device_jobs(
    clip: torch.Tensor, faces: torch.Tensor, size: int, device: torch.device
) -> dict[str, tuple[Callable[[], object], int]]:
    """Our backends on a GPU, and the one on the CPU beside them."""
    jobs: dict[str, tuple[Callable[[], object], int]] = {}

    def add(backend: Backend, device: torch.device) -> None:
        there = clip.to(device), faces.to(device)
        views = pack_views([there[0]], [there[1]])
        mask, train = mask_jobs(*there, size, backend)
        calls: dict[str, Callable[[], object]] = {
            "draw": lambda: rasterize_views(views, size, backend=backend),
            "mask": mask,
            "train": train,
        }
        for label, call in calls.items():
            jobs[f"{backend} {label}"] = (
                lambda call=call: (call(), torch.cuda.synchronize()),
                len(clip),
            )

    add("triton", device)
    add("torch", device)
    add("numba", torch.device("cpu"))
    return jobs


def other_jobs(
    clip: torch.Tensor, faces: torch.Tensor, size: int
) -> dict[str, tuple[Callable[[], object], int]]:
    """Other CPU rasterisers, those that are installed."""
    jobs: dict[str, tuple[Callable[[], object], int]] = {}
    if importlib.util.find_spec("moderngl"):
        jobs["moderngl"] = (moderngl_job(clip[0], faces, size), 1)
    if importlib.util.find_spec("pytorch3d") and size <= 128:
        jobs["pytorch3d"] = (pytorch3d_job(clip[0], faces, size), 1)
    return jobs


def moderngl_job(clip: torch.Tensor, faces: torch.Tensor, size: int) -> Callable[[], object]:
    """Draw face indices with OpenGL (llvmpipe where there is no GPU) and read them back."""
    import moderngl

    context = moderngl.create_standalone_context(backend="egl")
    program = context.program(
        vertex_shader="#version 330\nin vec4 p; void main() { gl_Position = p; }",
        fragment_shader="#version 330\nout int f; void main() { f = gl_PrimitiveID; }",
    )
    corners = context.buffer(clip.numpy().tobytes())
    index = context.buffer(faces.int().numpy().tobytes())
    array = context.vertex_array(program, [(corners, "4f", "p")], index)
    color = context.texture((size, size), 1, dtype="i4")
    frame = context.framebuffer([color], context.depth_renderbuffer((size, size)))
    context.enable(moderngl.DEPTH_TEST)

    def draw() -> bytes:
        corners.write(clip.numpy().tobytes())
        frame.use()
        frame.clear(depth=1.0)
        array.render()
        return frame.read(components=1, dtype="i4")

    return draw


def pytorch3d_job(clip: torch.Tensor, faces: torch.Tensor, size: int) -> Callable[[], object]:
    """Rasterise with PyTorch3D's naive CPU loop."""
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    verts = torch.cat([-clip[:, :2] / clip[:, 3:], clip[:, 3:]], 1)
    meshes = Meshes([verts], [faces])
    return lambda: rasterize_meshes(meshes, image_size=size, blur_radius=0.0, faces_per_pixel=1)


def least_ms(jobs: dict[str, tuple[Callable[[], object], int]], seconds: float) -> dict[str, float]:
    """Repeat all jobs in turn for about so many seconds; the least time of each, per view."""
    for call, _ in jobs.values():
        call()  # compiles, and fills caches
    least = dict.fromkeys(jobs, math.inf)
    start = time.perf_counter()
    rounds = 0
    while rounds < 3 or time.perf_counter() - start < seconds:
        rounds += 1
        for name, (call, num_views) in jobs.items():
            if name in ("torch", "pytorch3d") and rounds > 2:
                continue
            begin = time.perf_counter()
            call()
            least[name] = min(least[name], (time.perf_counter() - begin) * 1e3 / num_views)
    return least


def print_row(size: int, times: dict[str, float], *, is_first: bool) -> None:
    """Print the times of one size, after the names if it is the first."""
    columns = {name: f"{value:13.3f}" for name, value in times.items()}
    if "plain" in times:
        columns["ours/plain"] = f"{times['ours'] / times['plain']:13.2f}"
        columns["batch/plain"] = f"{times['batch'] / times['plain batch']:13.2f}"
    if is_first:
        for name in ("moderngl", "pytorch3d"):
            if "plain" in times and not importlib.util.find_spec(name):
                print(f"{name}: not installed, left out")
        print("  size" + "".join(f"{name:>13}" for name in columns))
    print(f"{size:6}" + "".join(columns.values()), flush=True)


def main() -> None:
    """Print a table, and write it as JSON if `--out` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each size")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    clip, faces = make_scene(args.views)
    device = torch.device(args.device)
    machine = machine_name()
    if device.type == "cuda":
        machine = f"{torch.cuda.get_device_name(device)}, {machine}"
    print(f"{machine}, {torch.get_num_threads()} threads, {faces.shape[0]} faces, "
          f"{args.views} views, torch {torch.__version__}, numba {numba.__version__}")  # fmt: skip
    results = {}
    for size in args.sizes:
        if device.type == "cuda":
            jobs = device_jobs(clip, faces, size, device)
        else:
            jobs = own_jobs(clip, faces, size) | other_jobs(clip, faces, size)
        results[size] = least_ms(jobs, args.seconds)
        print_row(size, results[size], is_first=size == args.sizes[0])
    if args.out:
        about = {
            "machine": machine,
            "threads": torch.get_num_threads(),
            "faces": faces.shape[0],
            "ms_per_view": results,
        }
        args.out.write_text(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
