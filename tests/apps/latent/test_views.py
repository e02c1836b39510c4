import math

import pytest
import torch

from get3d.apps.latent import (
    LatentShape,
    SceneBounds,
    generate_shape,
    portrait,
    read_subject,
    styles_of,
)
from get3d.apps.latent.views import turn_deg, video_frame
from get3d.core import Mesh
from get3d.export import save
from get3d.geometry import clip_matrices, to_clip
from get3d.render import render_mesh


def box(size: tuple[float, float, float], centre=(0.0, 0.0, 0.0)) -> Mesh:
    corners = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * 3)
    verts = corners * torch.tensor(size) + torch.tensor(centre)
    return Mesh(verts, torch.combinations(torch.arange(8), 3))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("size", [(1, 1, 1), (0.01, 3, 0.01), (5, 0.1, 0.2)])
def test_subject_fits_and_fills_the_image(size, scale: float) -> None:
    mesh = box(tuple(side * scale for side in size), (3 * scale, -7 * scale, 2 * scale))
    cameras = SceneBounds.around([mesh]).cameras(turn_deg(12))
    clip = to_clip(mesh.verts, clip_matrices(cameras))
    seen = clip[..., :3] / clip[..., 3:]
    assert (clip[..., 3] > 0).all()
    assert seen.abs().max() < 1
    # Long things are seen from the end too, and then stay half the image away.
    assert seen[..., :2].abs().max() > 0.5


def test_bounds_enclose_all_shapes() -> None:
    small, large = box((1, 1, 1)), box((1, 4, 1), (0, 1, 0))
    bounds = SceneBounds.around(iter([small, large]))
    assert bounds.low.tolist() == [-0.5, -1, -0.5]
    assert bounds.high.tolist() == [0.5, 3, 0.5]


def test_vertices_that_no_face_uses_do_not_count() -> None:
    mesh = box((1, 1, 1))
    mesh = Mesh(torch.cat([mesh.verts, torch.full((1, 3), 99.0)]), mesh.faces)
    assert SceneBounds.around([mesh]).high.max() == 0.5


def test_bounds_without_faces_raise() -> None:
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    for meshes in ([], [empty]):
        with pytest.raises(ValueError, match="there is no surface to show"):
            SceneBounds.around(meshes)
    with pytest.raises(ValueError, match="polar_deg must lie within 0 to 180, got 200"):
        SceneBounds.around([box((1, 1, 1))]).cameras([0.0], polar_deg=200.0)


def test_turn_has_even_steps_and_loops() -> None:
    turned = turn_deg(8)
    steps = [b - a for a, b in zip(turned, [*turned[1:], turned[0] + 360], strict=True)]
    assert steps == [45.0] * 8
    assert len(set(turn_deg(5, turns=0.0))) == 1


def test_video_frames_are_composited_on_white() -> None:
    rgba = torch.zeros(1, 2, 4)
    rgba[0, 1] = torch.tensor([1.0, 0.0, 0.0, 0.5])
    assert video_frame(rgba).tolist() == [[[255, 255, 255], [255, 128, 128]]]


def test_a_portrait_shows_the_field_s_surface_and_colours(model) -> None:
    shape = generate_shape(model, styles_of(model, 0))
    assert isinstance(shape, LatentShape)
    image = portrait(shape, 48, rotations_deg=[0.0, 90.0, 180.0])
    assert image.shape == (48, 144, 4)
    cameras = SceneBounds.around([shape.mesh]).cameras([0.0, 90.0, 180.0])[:1]
    mask = render_mesh(shape.mesh, cameras, 48).mask[0]
    assert (torch.tensor(image[:, :48, 3]) / 255 - mask).abs().mean() < 0.02
    alone = shape.render(cameras, 48)[0]
    assert (torch.tensor(image[:, :48]) / 255 - alone).abs().max() < 0.01


def test_images_of_field_and_texture_agree(model, tmp_path) -> None:
    """A video of the field and one of its exported file show the same."""
    shape = generate_shape(model, styles_of(model, 0))
    save(shape.textured(256), tmp_path / "shape.glb")
    images = [
        torch.tensor(portrait(subject, 48)).float()
        for subject in (shape, read_subject(tmp_path / "shape.glb"))
    ]
    assert (images[0] - images[1]).abs().mean() < 2


def test_one_shape_at_a_time(model) -> None:
    styles = model.generator.map(torch.randn(2, 8), torch.randn(2, 8))
    with pytest.raises(ValueError, match="one shape at a time: got 2 geometry and 2 texture"):
        generate_shape(model, styles)


def test_shape_without_a_surface_raises(model) -> None:
    with torch.no_grad():
        model.generator._grid_base.fill_(-100.0)
    with pytest.raises(ValueError, match="the signed distances have no surface"):
        generate_shape(model, styles_of(model, 0))


@pytest.mark.gpu
def test_images_on_a_gpu_are_those_on_the_cpu(model) -> None:
    on_cpu = torch.tensor(portrait(generate_shape(model, styles_of(model, 0)), 48)).float()
    on_gpu = generate_shape(model.to("cuda"), styles_of(model, 0))
    assert on_gpu.mesh.verts.is_cuda
    assert (torch.tensor(portrait(on_gpu, 48)).float() - on_cpu).abs().mean() < 2


@pytest.mark.parametrize("turns", [math.nan, math.inf, -math.inf, 1e300])
def test_invalid_turns_raise(turns: float) -> None:
    with pytest.raises(ValueError, match="turns must be from -1000 to 1000, got"):
        turn_deg(3, turns=turns)
