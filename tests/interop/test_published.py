"""Values computed with the authors' release, from weights determined by their names."""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from get3d.core import Images, Mesh, Styles
from get3d.geometry import (
    cube_corners,
    flexicubes,
    is_oriented,
    sdf_sign_change_loss,
    surface_area,
)
from get3d.interop.published import load_discriminator, load_generator
from get3d.models import Generator

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reference"
SMALL = ["unified_small", "separate_small", "unified_flexi_small"]
FULL = [pytest.param(name, marks=pytest.mark.slow) for name in ("unified_full", "separate_full")]


@dataclass(frozen=True)
class Reference:
    """A reference: published options, weights and results."""

    config: dict[str, Any]
    state_dict: dict[str, Tensor]
    arrays: dict[str, Tensor]
    tolerance: float

    def assert_close(self, ours: Tensor, name: str, *, rows: Any = ...) -> None:
        """Compare with an array of the set, relative to its largest value."""
        theirs = self.arrays[name][rows]
        assert ours.shape == theirs.shape
        error = (ours.detach() - theirs).abs().max() / theirs.abs().max()
        assert error < self.tolerance, f"{name}: relative error {error:.1e}"


def deterministic_tensor(name: str, shape: list[int], salt: str) -> Tensor:
    seed = zlib.crc32(f"{salt}:{name}".encode())
    x = np.random.RandomState(seed).standard_normal(size=shape)
    x = np.asarray(x, dtype=np.float32)
    leaf = name.rsplit(".", maxsplit=1)[-1]
    if "mapping" in name and leaf == "weight":
        x = x * np.float32(100.0)
    if "mapping" in name and leaf == "bias":
        x = x * np.float32(10.0)
    elif leaf == "bias":
        x = x * np.float32(0.1) + np.float32(1.0 if ".affine." in name else 0.0)
    if leaf in ("noise_strength", "w_avg"):
        x = x * np.float32(0.1)
    return torch.from_numpy(np.asarray(x))


def read(name: str) -> Reference:
    described = json.loads((FIXTURES / f"{name}.json").read_text())
    with np.load(FIXTURES / f"{name}.npz") as arrays:
        values = {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays}
    weights = {
        key: deterministic_tensor(key, shape, described["salt"])
        for key, shape in described["tensors"].items()
    }
    tolerance = 1e-3 if name.endswith("_full") else 1e-4
    return Reference(described["config"], weights, values, tolerance)


def published_grid(resolution: int) -> Path | None:
    """The grid of a reference run: of resolution 64 here, the larger ones where one has them."""
    if resolution == 64:
        return FIXTURES / "grid_64.npz"
    folder = os.environ.get("GET3D_REFERENCE_TETS")
    return Path(folder) / f"{resolution}_compress.npz" if folder else None


def volume_from_origin(mesh: Mesh) -> float:
    """Sum of the faces' cones to the origin: these surfaces end at the grid's boundary."""
    a, b, c = mesh.verts.double()[mesh.faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest) -> tuple[Reference, Generator]:
    reference = read(request.param)
    config = reference.config
    grid = None if config["iso_surface"] == "flexicubes" else published_grid(config["tet_res"])
    with torch.random.fork_rng():
        generator = load_generator(reference.state_dict, config=config, grid=grid)
    return reference, generator.requires_grad_(False)


def styles_of(generator: Generator, reference: Reference) -> Styles:
    return generator.map(reference.arrays["z_geo"], reference.arrays["z_tex"])


@pytest.mark.parametrize("loaded", [*SMALL, *FULL], indirect=True)
class TestGenerator:
    def test_styles(self, loaded: tuple[Reference, Generator]) -> None:
        reference, generator = loaded
        styles = styles_of(generator, reference)
        num_styles = [styles.tex.shape[1], styles.geo.shape[1]]
        assert num_styles == reference.arrays["num_ws"].tolist()
        for layer in range(styles.geo.shape[1]):
            reference.assert_close(styles.geo[:, layer], "w_geo")
        for layer in range(styles.tex.shape[1]):
            reference.assert_close(styles.tex[:, layer], "w_tex")
        z = reference.arrays["z_geo"], reference.arrays["z_tex"]
        truncated = generator.map(*z, truncation=0.7)
        reference.assert_close(truncated.tex[:, 0], "w_tex_psi0.7")

    def test_fields(self, loaded: tuple[Reference, Generator]) -> None:
        reference, generator = loaded
        fields = generator.fields(styles_of(generator, reference))
        points = reference.arrays["positions"]
        if "geo_planes_sub" in reference.arrays:
            stride = int(reference.arrays["plane_stride"])
            planes = fields.geometry.planes[..., ::stride, ::stride]
            reference.assert_close(planes, "geo_planes_sub")
            reference.assert_close(fields.texture.planes[..., ::stride, ::stride], "tex_planes_sub")
        if "sdf" in reference.arrays:
            reference.assert_close(fields.sdf(points), "sdf")
            reference.assert_close(fields.deformation(points), "deform_raw")
        reference.assert_close(fields.texture.features(points), "tex_feat")
        reference.assert_close(fields.color(points), "rgb")

    def test_surface(self, loaded: tuple[Reference, Generator]) -> None:
        reference, generator = loaded
        fields = generator.fields(styles_of(generator, reference))
        if generator.config.iso_surface == "flexicubes":
            pytest.skip("the reference holds no mesh of it; see test_flexicubes_surface")
        if published_grid(generator.config.grid_resolution) is None:
            pytest.skip("GET3D_REFERENCE_TETS names no folder of published grids")
        grid = generator.grid
        counts = [len(grid.verts), len(grid.tets), len(grid.edges)]
        assert counts == reference.arrays["grid_counts"].tolist()
        surface = generator.extract(fields)
        reference.assert_close(surface.fallback_sdf[:, ::37], "sdf_grid_sub")
        sub = fields.deformation(grid.verts[::37])
        reference.assert_close(generator.offsets(sub), "deform_grid_sub")
        loss = sdf_sign_change_loss(surface.fallback_sdf, grid.edges)
        reference.assert_close(loss.double(), "sdf_bce")
        wanted = reference.arrays["mesh_counts"].T.tolist()
        for i, mesh in enumerate(surface.meshes):
            # An SDF value within rounding of zero may add or remove a few.
            assert [len(mesh.verts), len(mesh.faces)] == pytest.approx(wanted[i], abs=4)
            area, volume = reference.arrays[f"mesh{i}_area_volume"].tolist()
            assert float(surface_area(mesh)) == pytest.approx(area, rel=reference.tolerance)
            tolerance = reference.tolerance * abs(area) ** 1.5
            assert volume_from_origin(mesh) == pytest.approx(volume, abs=tolerance)
            middle = reference.arrays[f"mesh{i}_vertex_mean"]
            assert (mesh.verts.double().mean(0) - middle).abs().max() < reference.tolerance


@pytest.mark.parametrize("loaded", SMALL, indirect=True)
def test_order_in_which_styles_are_used(loaded: tuple[Reference, Generator]) -> None:
    reference, generator = loaded
    arrays = reference.arrays
    fields = generator.fields(Styles(arrays["mixed_styles_geo"], arrays["mixed_styles_tex"]))
    reference.assert_close(fields.sdf(arrays["positions"]), "mixed_sdf")
    reference.assert_close(fields.deformation(arrays["positions"]), "mixed_deform_raw")
    reference.assert_close(fields.color(arrays["positions"]), "mixed_rgb")


@pytest.mark.parametrize("loaded", ["unified_flexi_small"], indirect=True)
def test_flexicubes_heads(loaded: tuple[Reference, Generator]) -> None:
    reference, generator = loaded
    fields = generator.fields(styles_of(generator, reference))
    grid = generator.grid
    corners = cube_corners(torch.arange(0, grid.num_cubes, 97), grid.resolution)
    reference.assert_close(fields.sdf(grid.verts), "sdf_grid")
    reference.assert_close(fields.grid_sdf(), "sdf_grid")
    reference.assert_close(fields.deformation(grid.verts[::97]), "deform_grid_raw_sub")
    reference.assert_close(fields.flexi_weights(grid.verts[corners]), "weight_sub")
    on_grid = fields.grid_flexi_weights(corners.expand(2, -1, -1))
    reference.assert_close(on_grid, "weight_sub")


@pytest.mark.parametrize("loaded", ["unified_flexi_small"], indirect=True)
@pytest.mark.parametrize("for_training", [False, True])
def test_flexicubes_surface(loaded: tuple[Reference, Generator], for_training: bool) -> None:
    # The reference has no mesh of these networks. Its rules, on its own signed distances (negative
    # inside) and on the networks' offsets and weights, at every vertex and every cube, give one.
    reference, generator = loaded
    fields = generator.fields(styles_of(generator, reference))
    surface = generator.extract(fields, for_training=for_training)
    grid = generator.grid
    offsets = fields.deformation(grid.verts).tanh() / (32 * 2)
    corners = cube_corners(torch.arange(grid.num_cubes), grid.resolution)
    raw = fields.flexi_weights(grid.verts[corners])
    for i, mesh in enumerate(surface.meshes):
        wanted = flexicubes(
            grid,
            -reference.arrays["sdf_grid"][i],
            verts=grid.verts + offsets[i],
            raw_weights=raw[i],
            splits_in_four=for_training,
        )
        assert is_oriented(mesh)
        # An SDF value within rounding of zero may add or remove a few.
        assert len(mesh.verts) == pytest.approx(len(wanted.verts), abs=8)
        assert len(mesh.faces) == pytest.approx(len(wanted.faces), abs=8)
        for measure in (surface_area, volume_from_origin):
            assert float(measure(mesh)) == pytest.approx(float(measure(wanted)), rel=1e-4)


def test_discriminators() -> None:
    reference = read("discriminator_small")
    discriminator = load_discriminator(reference.state_dict, config=reference.config)
    size = reference.config["img_resolution"]
    random = np.random.RandomState(int(reference.arrays["image_seed"]))
    pixels = random.uniform(-1, 1, (4, 4, size, size)).astype(np.float32)
    pixels[:, 3] = pixels[:, 3] > 0
    image = torch.from_numpy(pixels).requires_grad_()
    logits = discriminator(Images(image[:, :3], image[:, 3:]), reference.arrays["camera"])
    reference.assert_close(logits.rgb[:, None], "logits")
    reference.assert_close(logits.mask[:, None], "logits_mask")
    for name, values in (("r1", logits.rgb), ("r1_mask", logits.mask)):
        (gradient,) = torch.autograd.grad(values.sum(), image, retain_graph=True)
        reference.assert_close(gradient.square().sum((1, 2, 3)), name)


class TestErrors:
    def test_missing_unexpected_and_misshapen_tensors_are_named(self) -> None:
        reference = read("unified_small")
        weights = dict(reference.state_dict)
        del weights["mapping.fc3.bias"]
        weights["synthesis.extra"] = torch.zeros(1)
        weights["synthesis.to_rgb.bias"] = torch.zeros(4)
        with pytest.raises(ValueError, match="3 tensors do not fit") as caught:
            load_generator(weights, config=reference.config)
        message = str(caught.value)
        assert "missing mapping.fc3.bias" in message
        assert "unexpected synthesis.extra" in message
        assert "synthesis.to_rgb.bias has shape [4], needs [3]" in message

    def test_another_configuration_is_noticed(self) -> None:
        reference = read("unified_small")
        with pytest.raises(ValueError, match="do not fit"):
            load_generator(
                reference.state_dict, config=reference.config | {"tri_plane_resolution": 64}
            )

    def test_filters_of_the_release_are_ignored(self) -> None:
        reference = read("discriminator_small")
        weights = reference.state_dict | {"b8.resample_filter": torch.zeros(4, 4)}
        load_discriminator(weights, config=reference.config)

    @pytest.mark.parametrize("change", [{"typo": 1}, {"z_dim": None}])
    def test_options_must_be_known_and_complete(self, change: dict[str, Any]) -> None:
        reference = read("unified_small")
        config = {k: v for k, v in (reference.config | change).items() if v is not None}
        with pytest.raises(ValueError, match="config lacks"):
            load_generator(reference.state_dict, config=config)

    def test_flexicubes_has_no_tetrahedra(self) -> None:
        reference = read("unified_flexi_small")
        with pytest.raises(ValueError, match="flexicubes makes its own grid of cubes"):
            load_generator(
                reference.state_dict, config=reference.config, grid=FIXTURES / "grid_64.npz"
            )

    def test_only_the_skip_discriminator(self) -> None:
        reference = read("discriminator_small")
        with pytest.raises(ValueError, match="skip"):
            load_discriminator(
                reference.state_dict, config=reference.config | {"architecture": "resnet"}
            )
