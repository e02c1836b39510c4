"""Images of unlit models are rendered with light, those of others are not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from get3d.apps import Model, save_model
from get3d.apps.evaluation import EvaluationConfig, evaluate, make_plan, measure, summarize
from get3d.apps.evaluation.measure import RGBImages, load_shape
from get3d.apps.evaluation.plan import Collection, identify
from get3d.apps.latent import generate_shape
from get3d.core.contact_sheet import images_to_u8
from get3d.export import save
from get3d.geometry import orbit_cameras
from get3d.metrics import FeatureExtractor
from get3d.models import Generator

CAMERAS = orbit_cameras(
    torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.5]), radius=1.2, fovy_rad=0.8575
)
CONFIG = EvaluationConfig(image_size=48, texture_size=128)


@pytest.fixture
def white_ball(model: Model) -> Model:
    """A model whose only shape is a white sphere about the origin."""
    config = replace(model.generator.config, sdf_base_radius=0.35, grid_resolution=16)
    generator = Generator(config).eval().requires_grad_(False)
    for head in (generator.network.geometry.sdf, generator.network.geometry.deformation):
        for weight in head.parameters():
            weight.zero_()
    color = generator.network.texture.color
    for weight in color.parameters():
        weight.zero_()
    color.bias.fill_(1.0)
    return Model(generator, model.info)


def _unlit(model: Model) -> Model:
    return replace(model, info=replace(model.info, is_unlit=True))


def _images(
    folder: Path, model: Model, config: EvaluationConfig = CONFIG
) -> tuple[RGBImages, RGBImages]:
    save_model(model, folder)
    generated = Collection(role="generated", num=1, model=folder, config=config, metrics=())
    shape = load_shape(identify(generated), 0)
    assert shape.field_images is not None
    return shape.field_images(CAMERAS), shape.mesh_images(CAMERAS)


@pytest.fixture
def reference(white_ball: Model, tmp_path: Path) -> RGBImages:
    """Images of the same mesh as a reference in studio light."""
    [ball] = white_ball.generate(texture_size=128)
    save(ball, tmp_path / "ball.glb")
    side = float((ball.mesh.verts.amax(0) - ball.mesh.verts.amin(0)).max())
    config = replace(CONFIG, longest_side=side)
    ball_file = Collection(
        role="reference",
        num=1,
        files=(tmp_path / "ball.glb",),
        light="studio",
        config=config,
        metrics=(),
    )
    return load_shape(ball_file, 0).mesh_images(CAMERAS)


def test_unlit_white_sphere_renders_like_the_same_mesh_as_a_reference(
    white_ball: Model, reference: RGBImages, tmp_path: Path
) -> None:
    on_field, on_mesh = _images(tmp_path / "model", _unlit(white_ball))
    # The same mesh, normals and colours up to the rounding of a file: less than a grey level.
    assert (on_mesh.int() - reference.int()).abs().max() <= 1
    # A field is lit at one point of a pixel, meshes at 16: 5 levels where light changes fast.
    difference = _difference_inside(on_field, reference)
    assert difference.max() < 8
    assert difference.mean() < 2


def _difference_inside(images: RGBImages, reference: RGBImages) -> torch.Tensor:
    """Absolute differences in bytes, without the silhouettes, which are blended differently."""
    is_inside = -torch.nn.functional.max_pool2d(-reference.float(), 3, 1, 1).amin(1) > 60
    assert is_inside.float().mean() > 0.2
    return (images.int() - reference.int()).abs().float().amax(1)[is_inside]


def test_lit_model_is_rendered_without_light(white_ball: Model, tmp_path: Path) -> None:
    on_field, on_mesh = _images(tmp_path / "model", white_ball)
    for images in (on_field, on_mesh):
        assert set(images[..., 24, 20:28].flatten().tolist()) == {255}


def test_unlit_references_need_no_light(white_ball: Model, tmp_path: Path) -> None:
    plain = replace(CONFIG, light="none")
    unlit_images = _images(tmp_path / "unlit", _unlit(white_ball), plain)
    lit_images = _images(tmp_path / "lit", white_ball)
    for unlit, lit in zip(unlit_images, lit_images, strict=True):
        assert torch.equal(unlit, lit)


def test_contact_sheets_light_base_colours_once(white_ball: Model, reference: RGBImages) -> None:
    shape = generate_shape(white_ball, white_ball.styles(0))
    rgba = shape.render(CAMERAS, 48)
    images = images_to_u8(rgba.permute(0, 3, 1, 2)[:, :3], low=0.0)
    found = torch.from_numpy(images).permute(0, 3, 1, 2)
    # Contact sheets light faces flat, and these 600 are large: 11 levels.
    difference = _difference_inside(found, reference)
    assert difference.max() < 16
    assert difference.mean() < 4


def test_light_is_part_of_the_shards_identity_and_of_the_report(
    white_ball: Model, data: Path, tmp_path: Path, mean_colors: FeatureExtractor
) -> None:
    config = replace(CONFIG, metrics=("fd",), num_shapes=4, num_images=8, reference_views=1)
    found = {}
    for name, model in {"lit": white_ball, "unlit": _unlit(white_ball)}.items():
        save_model(model, tmp_path / name)
        for light in ("studio", "none"):
            chosen = replace(config, light=light)
            plan = make_plan(data, chosen, model=tmp_path / name, meshes=None, device="cpu")
            found[name, light] = plan.generated
    lights = {key: one.light for key, one in found.items()}
    assert lights.pop(("unlit", "studio")) == "studio"
    assert set(lights.values()) == {"none"}
    identities = {key: measure._identity(one) for key, one in found.items()}
    assert identities["lit", "studio"] == identities["lit", "none"]
    assert len(set(identities.values())) == 3

    evaluation = evaluate(
        data, work=tmp_path / "work", config=config, model=tmp_path / "unlit", workers=1
    )
    content = summarize(evaluation, name="x")
    assert content["protocol"]["images"]["light_of_generated"] == "studio"
    assert content["protocol"]["images"]["light_of_references"] == "studio"
    assert any("base colours without light" in note for note in content["notes"])
