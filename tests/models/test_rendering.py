import math
from dataclasses import replace

import pytest
import torch
import trimesh

from get3d.core import Material, Mesh, TexturedMesh
from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.geometry import orbit_cameras, vertex_normals
from get3d.models import Generator, GeneratorConfig, TrainingRenderConfig
from get3d.models.fields import Fields
from get3d.models.rendering import (
    interpolated_normals,
    lit_colors,
    nearest_covered,
    render_images,
)
from get3d.models.triplane_fields import TextureHeads
from get3d.render import (
    LearnedLight,
    Light,
    covered_pixels,
    project_meshes,
    rasterize_views,
    render_colored,
    render_textured,
    surface_points,
)
from tests.tiny import TINY

SIZE = 32
PUBLISHED = TrainingRenderConfig()
SMOOTH = TrainingRenderConfig(composite="antialiased", mask_supersample=4)


@pytest.fixture(scope="module")
def scene() -> tuple[Generator, Fields, list[Mesh]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Generator(
            GeneratorConfig(**TINY, sdf_base="sphere", sdf_base_radius=0.3, sdf_base_weight=0.01)
        )
    z = torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(0))
    fields = generator.fields(generator.map(z[0], z[1]))
    return generator, fields, generator.surface(fields)


def cameras(num: int):  # type: ignore[no-untyped-def]
    return orbit_cameras(
        torch.linspace(0, 3, num), torch.full((num,), 1.2), radius=1.2, fovy_rad=math.radians(49)
    )


def test_published_background_is_the_colour_layers_bias(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, meshes = scene
    generator.network.texture.color.bias.data = torch.tensor([0.1, 0.2, 0.3])
    images = generator.render(fields, meshes, cameras(2), SIZE, config=PUBLISHED)
    torch.testing.assert_close(images.rgb[:, :, 0, 0], torch.tensor([[0.1, 0.2, 0.3]] * 2))
    assert images.mask[:, 0, 0, 0].tolist() == [0, 0]
    assert images.mask[:, 0, SIZE // 2, SIZE // 2].tolist() == [1, 1]


def test_antialiased_background_is_black_and_borders_blend(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, meshes = scene
    images = generator.render(fields, meshes, cameras(2), SIZE, config=SMOOTH)
    assert torch.equal(images.rgb[:, :, 0, 0], torch.full((2, 3), -1.0))
    is_border = ((images.mask > 0.05) & (images.mask < 0.95)).expand_as(images.rgb)
    assert is_border.any()
    color = (images.rgb + 1) / images.mask - 1
    inner = images.mask.expand_as(color) > 0.99
    # Undoing the blend gives the colour of the surface, so nothing dark was mixed in.
    assert color[is_border].min() > color[inner].min() - 0.5


def test_both_composites_agree_where_the_pixel_is_full(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, meshes = scene
    hard = generator.render(fields, meshes, cameras(2), SIZE, config=PUBLISHED)
    soft = generator.render(
        fields, meshes, cameras(2), SIZE, config=TrainingRenderConfig(composite="antialiased")
    )
    is_full = (soft.mask == 1).expand_as(soft.rgb)
    torch.testing.assert_close(hard.rgb[is_full], soft.rgb[is_full])


def test_several_views_of_each_shape(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, meshes = scene
    views = cameras(6)
    together = generator.render(fields, meshes, views, SIZE, config=SMOOTH)
    second = generator.render(fields[1:2], meshes[1:], views[3:], SIZE, config=SMOOTH)
    torch.testing.assert_close(together.rgb[3:], second.rgb)
    torch.testing.assert_close(together.mask[3:], second.mask)


def test_colour_moves_the_surface_only_without_detach_positions(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, meshes = scene
    for detach in (True, False):
        verts = meshes[0].verts.detach().requires_grad_()
        images = generator.render(
            fields[:1],
            [Mesh(verts, meshes[0].faces)],
            cameras(1),
            SIZE,
            config=TrainingRenderConfig(detach_positions=detach),
        )
        (gradient,) = torch.autograd.grad(images.rgb.sum() + 0 * images.mask.sum(), verts)
        assert bool(gradient.any()) != detach


def test_nothing_to_see(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, _ = scene
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    for config in (PUBLISHED, SMOOTH):
        images = generator.render(fields, [empty, empty], cameras(2), SIZE, config=config)
        assert images.mask.sum() == 0
        assert images.rgb.isfinite().all()


def test_cameras_must_be_a_multiple_of_the_meshes(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, meshes = scene
    for count in (1, 3):
        with pytest.raises(ValueError, match=f"{count} cameras"):
            generator.render(fields, meshes, cameras(count), SIZE)


def test_nearest_covered_sub_pixel() -> None:
    face_id = torch.full((1, 8, 8), -1)
    face_id[0, 0, 0] = 3  # a corner of block (0, 0)
    face_id[0, 1, 2] = 4  # nearer to its centre
    face_id[0, 7, 4] = 5  # block (1, 1)
    pixels = nearest_covered(face_id, 4)
    found = list(zip(pixels.row.tolist(), pixels.column.tolist(), strict=True))
    assert found == [(1, 2), (7, 4)]
    assert pixels.face.tolist() == [4, 5]
    assert pixels.image.tolist() == [0, 0]


def two_plates() -> Mesh:
    """An upright plate before a larger one, as boxes of a closed surface each."""
    boxes = []
    for size, x in ((0.2, 0.25), (0.6, -0.2)):
        corner = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * 3)
        boxes.append(corner * torch.tensor([0.05, size, size]) + torch.tensor([x, 0.0, 0.0]))
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return Mesh(torch.cat(boxes), torch.cat([faces, faces + 8]))


def test_occlusion_contours_are_blended_and_move_vertices(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, _ = scene
    mesh = two_plates()
    views = orbit_cameras(
        torch.tensor([-math.pi / 2]), torch.tensor([1.5]), radius=1.4, fovy_rad=math.radians(40)
    )
    for factor in (1, 4):
        config = TrainingRenderConfig(composite="antialiased", mask_supersample=factor)
        images, gradients = [], []
        for is_on in (False, True):
            verts = mesh.verts.clone().requires_grad_()
            chosen = replace(config, antialias_occlusions=is_on)
            seen = Mesh(verts, mesh.faces)
            image = generator.render(fields[:1], [seen], views, SIZE, config=chosen)
            inner = image.rgb[0, :, 9:23, 9:23]  # the front plate, none of the outline
            assert (image.mask[0, 0, 9:23, 9:23] == 1).all()
            images.append(image)
            gradients.append(torch.autograd.grad(inner.square().sum() + 0 * verts.sum(), verts)[0])
        off, on = images
        assert torch.equal(off.mask, on.mask)
        is_changed = (off.rgb != on.rgb).any(1)[0]
        # The front plate is outlined by one ring of pixels, or two where it falls between them.
        assert 10 < is_changed.sum() < 80
        rows, columns = is_changed.nonzero(as_tuple=True)
        assert min(rows.min(), columns.min()) >= 8
        assert max(rows.max(), columns.max()) < 23
        assert not gradients[0].any()
        assert gradients[1][:8].any()  # the nearer plate's vertices
        assert not gradients[1][8:].any()


def test_nothing_changes_without_occlusions(scene) -> None:  # type: ignore[no-untyped-def]
    generator, fields, _ = scene
    plates = two_plates()
    convex = Mesh(plates.verts[8:], plates.faces[12:] - 8)
    chosen = replace(SMOOTH, antialias_occlusions=True)
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    off = generator.render(fields, [empty, convex], cameras(2), SIZE, config=SMOOTH)
    on = generator.render(fields, [empty, convex], cameras(2), SIZE, config=chosen)
    assert torch.equal(off.rgb, on.rgb)
    assert torch.equal(off.mask, on.mask)


def test_occlusions_need_the_composite_antialiased() -> None:
    with pytest.raises(ValueError, match="antialias_occlusions"):
        TrainingRenderConfig(antialias_occlusions=True)


def ball(level: int = 4, *, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mesh:
    shape = trimesh.creation.icosphere(subdivisions=level, radius=0.4)
    verts = torch.tensor(shape.vertices, dtype=torch.float32) + torch.tensor(centre)
    return Mesh(verts, torch.tensor(shape.faces, dtype=torch.int64))


@pytest.fixture
def grey(scene):  # type: ignore[no-untyped-def]
    """The scene's first shape with one base colour everywhere; its sRGB value in [0, 1]."""
    generator, _, _ = scene
    color = generator.network.texture.color
    before = {name: value.clone() for name, value in color.state_dict().items()}
    base = torch.tensor([0.2, 0.5, 0.7])
    with torch.no_grad():
        color.weight.zero_()
        color.bias.copy_(base * 2 - 1)
    z = torch.zeros(2, 1, 8)
    yield generator, generator.fields(generator.map(z[0], z[1])), base
    color.load_state_dict(before)


class TestLight:
    @pytest.mark.parametrize("light", [Light(), Light(sky=0.9, ground=0.1, camera=0.3)])
    def test_same_images_as_of_a_data_set(self, grey, light) -> None:  # type: ignore[no-untyped-def]
        """Pixel by pixel what `get3d render` draws of the same mesh, colour and light."""
        generator, fields, base = grey
        mesh, views = ball(), cameras(3)
        images = generator.render(fields, [mesh], views, SIZE, config=PUBLISHED, light=light)
        smooth = TexturedMesh(
            mesh=mesh,
            uvs=torch.zeros(0, 2),
            uv_faces=torch.zeros(len(mesh.faces), 3, dtype=torch.int64),
            materials=(Material(base_color=(*srgb_to_linear(base).tolist(), 1.0)),),
            face_material=torch.zeros(len(mesh.faces), dtype=torch.int64),
            normals=vertex_normals(mesh),
        )
        expected = render_textured(smooth, views, SIZE, light=light, supersample=1)
        is_seen = expected[..., 3] == 1
        face_id = rasterize_views(project_meshes([mesh], views, views_per_mesh=3)[0], SIZE)
        assert torch.equal(is_seen, face_id >= 0)
        found = (images.rgb.permute(0, 2, 3, 1) + 1) / 2
        # Roundings of 32 bits, 6e-8, times the slope of the sRGB curve, at most 13.
        torch.testing.assert_close(found[is_seen], expected[is_seen][:, :3], atol=2e-6, rtol=0)
        # Flat faces of 3 degrees: brightness is off by up to 0.03 of at most 1, at borders more.
        flat = render_colored(
            mesh, lambda at: base.expand(len(at), 3), views, SIZE, light=light, supersample=1
        )
        assert (found - flat[..., :3])[is_seen].abs().max() < 0.02

    def test_unlit_changes_nothing(self, scene) -> None:  # type: ignore[no-untyped-def]
        generator, fields, meshes = scene
        for config in (PUBLISHED, SMOOTH):
            plain = generator.render(fields, meshes, cameras(4), SIZE, config=config)
            for light in (Light.unlit(), LearnedLight()):
                lit = generator.render(fields, meshes, cameras(4), SIZE, config=config, light=light)
                assert torch.equal(lit.mask, plain.mask)
                # To linear light and back in 32 bits.
                torch.testing.assert_close(lit.rgb, plain.rgb, atol=3e-6, rtol=0)

    def test_without_light_the_colours_are_the_fields_own(self, scene) -> None:  # type: ignore[no-untyped-def]
        generator, fields, meshes = scene
        bare = generator.render(fields, meshes, cameras(4), SIZE, config=PUBLISHED, light=None)
        views, verts = project_meshes(meshes, cameras(4), views_per_mesh=2)
        pixels = covered_pixels(rasterize_views(views, SIZE))
        positions = surface_points(views, verts, pixels, SIZE).position.detach()
        expected = fields.packed(fields.color, positions, pixels.image // 2)
        assert torch.equal(bare.rgb[pixels.image, :, pixels.row, pixels.column], expected)

    @pytest.mark.parametrize("light", [Light(), LearnedLight()])
    def test_images_move_vertices_through_normals(self, scene, light) -> None:  # type: ignore[no-untyped-def]
        generator, fields, meshes = scene
        if isinstance(light, LearnedLight):
            light.coefficients.data[1:4] = torch.tensor([0.3, 0.2, -0.1])
        gradients = []
        for chosen in (None, light):
            verts = meshes[0].verts.detach().requires_grad_()
            images = generator.render(
                fields[:1], [Mesh(verts, meshes[0].faces)], cameras(1), SIZE, light=chosen
            )
            (gradient,) = torch.autograd.grad(images.rgb.sum() + 0 * images.mask.sum(), verts)
            assert gradient.isfinite().all()
            gradients.append(gradient)
        assert not gradients[0].any()
        assert gradients[1].any()

    def test_light_and_occlusion_contours(self, scene) -> None:  # type: ignore[no-untyped-def]
        generator, fields, _ = scene
        views = orbit_cameras(
            torch.tensor([-math.pi / 2]), torch.tensor([1.5]), radius=1.4, fovy_rad=0.7
        )
        config = replace(SMOOTH, antialias_occlusions=True)
        plain, lit = (
            generator.render(fields[:1], [two_plates()], views, SIZE, config=config, light=light)
            for light in (None, Light.unlit())
        )
        torch.testing.assert_close(lit.rgb, plain.rgb, atol=3e-6, rtol=0)

    def test_nothing_to_light(self, scene) -> None:  # type: ignore[no-untyped-def]
        generator, fields, _ = scene
        empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
        for meshes in ([empty, empty], [empty, ball(1)]):
            images = generator.render(
                fields, meshes, cameras(4), SIZE, config=SMOOTH, light=Light()
            )
            assert images.rgb.isfinite().all()
            assert images.mask[:2].sum() == 0


class TestNormals:
    def test_of_balls_are_radii(self) -> None:
        centres = ((0.0, 0.05, 0.0), (0.1, -0.1, 0.0))
        meshes = [ball(4, centre=centres[0]), ball(3, centre=centres[1])]
        views, verts = project_meshes(meshes, cameras(4), views_per_mesh=2)
        pixels = covered_pixels(rasterize_views(views, SIZE))
        points = surface_points(views, verts, pixels, SIZE)
        at_verts = torch.cat([vertex_normals(mesh) for mesh in meshes])
        normals = interpolated_normals(at_verts, views, pixels, points)
        radii = points.position - torch.tensor(centres)[pixels.image // 2]
        torch.testing.assert_close(normals.norm(dim=1), torch.ones(len(normals)))
        cosine = (normals * radii).sum(1) / radii.norm(dim=1)
        assert cosine.min() > 1 - 1e-3

    def test_gradient(self) -> None:
        mesh = ball(1)
        mesh = Mesh(mesh.verts.double(), mesh.faces)
        views, verts = project_meshes([mesh], cameras(1))
        pixels = covered_pixels(rasterize_views(views, 8))
        points = surface_points(views, verts, pixels, 8)

        def normals(verts: torch.Tensor) -> torch.Tensor:
            at_verts = vertex_normals(Mesh(verts, mesh.faces))
            return interpolated_normals(at_verts, views, pixels, points)

        assert torch.autograd.gradcheck(normals, mesh.verts.requires_grad_(), fast_mode=True)


class TestLitColors:
    def test_by_hand(self) -> None:
        base = torch.tensor([[0.5, -0.5, 1.0]], dtype=torch.float64)
        lit = lit_colors(base, torch.tensor([0.5], dtype=torch.float64))
        expected = linear_to_srgb(0.5 * srgb_to_linear((base + 1) / 2)) * 2 - 1
        torch.testing.assert_close(lit, expected)

    def test_overexposed_is_white_and_below_zero_is_black(self) -> None:
        base = torch.tensor([[0.5, 0.5, 0.5]]).expand(2, 3)
        lit = lit_colors(base, torch.tensor([9.0, -1.0]))
        torch.testing.assert_close(lit[0], torch.ones(3))
        assert (lit[1] + 1).abs().max() < 0.005  # half a grey level
        assert lit.isfinite().all()

    def test_the_gradient_outside_of_the_colour_range_does_not_vanish(self) -> None:
        base = torch.tensor([[-1.5, 1.5, 0.0]], requires_grad=True)
        lit = lit_colors(base, torch.tensor([0.8]))
        lit.sum().backward()
        assert base.grad is not None
        assert (base.grad[0] > 0).all()
        torch.testing.assert_close(base.grad[0, :2], torch.ones(2))
        # What exceeds the range is added as it is.
        inner = lit_colors(base.detach().clamp(-1, 1), torch.tensor([0.8]))
        torch.testing.assert_close(lit[0, 1] - inner[0, 1], torch.tensor(0.5))

    def test_gradients(self) -> None:
        rng = torch.Generator().manual_seed(0)
        base = torch.rand(5, 3, generator=rng, dtype=torch.float64) * 1.6 - 0.8
        brightness = torch.rand(5, generator=rng, dtype=torch.float64) + 0.2
        brightness = brightness.clamp(max=1.0)
        inputs = (base.requires_grad_(), brightness.requires_grad_())
        assert torch.autograd.gradcheck(lit_colors, inputs)


class TestChannels:
    """A colour field with more channels than colour, as materials have."""

    @pytest.fixture
    def scene(self, scene):
        generator, fields, meshes = scene
        heads, old = fields.texture.heads, fields.texture.heads.color
        with torch.random.fork_rng():
            torch.manual_seed(1)
            wide = TextureHeads(
                16, 8, width=8, hidden_layers=0, color_w_dim=8, outputs={"gloss": 1, "color": 3}
            )
        wide.mlp, color = heads.mlp, wide.color
        color.affine.load_state_dict(old.affine.state_dict())
        color.weight.data[1:] = old.weight.data
        color.bias.data[1:] = old.bias.data
        both = replace(fields, texture=replace(fields.texture, heads=wide))
        return generator, fields, both, meshes

    def test_colour_is_the_same_beside_others(self, scene):
        generator, plain, both, meshes = scene
        points = torch.rand(5, 3) - 0.5
        assert dict(both.channel_sizes) == {"gloss": 1, "color": 3}
        assert both.channels(points).shape == (2, 5, 4)
        torch.testing.assert_close(both.color(points), plain.color(points))
        for config in (PUBLISHED, SMOOTH):
            expected, found = (
                generator.render(fields, meshes, cameras(2), SIZE, config=config)
                for fields in (plain, both)
            )
            torch.testing.assert_close(found.rgb, expected.rgb)

    def test_shadings_read_every_channel(self, scene):
        _, _, both, meshes = scene

        def gloss(position, normal, to_camera, channels, light):
            assert list(channels) == ["gloss", "color"]
            return channels["gloss"].expand(-1, 3)

        images = render_images(
            both, meshes, cameras(2), SIZE, config=SMOOTH, light=Light(), shading=gloss
        )
        assert torch.equal(images.rgb[:, 0], images.rgb[:, 2])
        assert images.rgb.std() > 0

    def test_appearance_of_one_shape(self, scene):
        _, _, both, _ = scene
        points = torch.rand(5, 3) - 0.5
        appearance = both[1:].appearance
        values = appearance.split(appearance.evaluate(points))
        expected = ((both.color(points)[1] + 1) / 2).clamp(0, 1)
        torch.testing.assert_close(values["color"], expected)
        assert values["gloss"].shape == (5, 1)
        with pytest.raises(ValueError, match="an appearance is of one shape, these are fields of"):
            _ = both.appearance
