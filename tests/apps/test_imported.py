import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from get3d.apps import ImportOptions, Model, import_checkpoint, load, save_model
from get3d.apps.imported import RELEASE_LICENCE
from get3d.geometry import bcc_grid, tet_grid
from tests.interop.released_files import config_of, write_checkpoint
from tests.interop.test_published import FIXTURES, Reference, read

SMALL = [
    "unified_small",
    "unified_flexi_small",
    pytest.param("separate_small", marks=pytest.mark.slow),
]
GRID = FIXTURES / "grid_64.npz"


def options_of(config: dict[str, Any]) -> ImportOptions:
    return ImportOptions(grid_resolution=config["tet_res"], scale=config["dmtet_scale"])


def assert_is_reference(model: Model, reference: Reference) -> None:
    """Compare with what the release computed."""
    generator = model.generator
    styles = generator.map(reference.arrays["z_geo"], reference.arrays["z_tex"])
    reference.assert_close(styles.geo[:, 0], "w_geo")
    reference.assert_close(styles.tex[:, 0], "w_tex")
    fields = generator.fields(styles)
    points = reference.arrays["positions"]
    if "sdf" in reference.arrays:
        reference.assert_close(fields.sdf(points), "sdf")
        reference.assert_close(fields.deformation(points), "deform_raw")
    reference.assert_close(fields.color(points), "rgb")


@pytest.mark.parametrize("name", SMALL)
def test_a_checkpoint_becomes_a_model_folder(name: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "chair.pt", name)
    options = options_of(config_of(name))
    model = import_checkpoint(path, options)
    assert_is_reference(model, read(name))
    save_model(model, tmp_path / "chair")
    again = load(tmp_path / "chair")
    assert_is_reference(again, read(name))
    config = again.generator.config
    assert (config.grid_resolution, config.scale) == (options.grid_resolution, options.scale)
    assert again.info.name == "chair"
    assert again.info.licence == RELEASE_LICENCE
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert again.info.origin == f"`chair.pt`, weight average `G_ema`, SHA-256 {digest}"


def test_the_card_says_where_it_is_from_and_that_it_is_non_commercial(tmp_path: Path) -> None:
    model = import_checkpoint(
        write_checkpoint(tmp_path / "car.pt", "unified_small"),
        options_of(config_of("unified_small")),
        origin="hf://maker/weights/car.pt",
    )
    save_model(model, tmp_path / "car")
    card = (tmp_path / "car" / "README.md").read_text()
    assert "license: other\nlicense_name: get3d-release-licence-non-commercial\n" in card
    assert "non-commercial use only" in card
    assert "- origin: `hf://maker/weights/car.pt`, weight average" in card


def test_weights_of_ones_own_have_another_licence(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "car.pt", "unified_small")
    info = import_checkpoint(path, options_of(config_of("unified_small")), licence="CC0-1.0").info
    assert info.licence == "CC0-1.0"
    assert "non-commercial" not in info.description


def test_options(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "car.pt", "unified_small")
    defaults = import_checkpoint(path).generator.config
    assert (defaults.grid_resolution, defaults.scale) == (90, 1.0)
    assert defaults.deformation_multiplier == 1.0
    options = ImportOptions(
        grid_resolution=64, scale=0.8, deformation_multiplier=2.0, grid_file=GRID
    )
    generator = import_checkpoint(path, options).generator
    assert generator.config.deformation_multiplier == 2.0
    with np.load(GRID) as published:
        assert len(generator.grid.verts) == len(published["vertices"])
    extent = generator.grid.verts.amax(0) - generator.grid.verts.amin(0)
    assert extent.max().item() == pytest.approx(0.8)
    assert len(generator.grid.verts) != len(bcc_grid(64).verts)


def test_a_grid_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = bcc_grid(12)  # by the number of its tets, a published one would count as 13
    np.savez(tmp_path / "grid.npz", vertices=ours.verts, tets=ours.tets)
    made: list[int] = []
    make = tet_grid.make_grid

    def count(*args: Any, resolution: int) -> Any:
        made.append(resolution)
        return make(*args, resolution=resolution)

    monkeypatch.setattr(tet_grid, "make_grid", count)
    path = write_checkpoint(tmp_path / "car.pt", "unified_small")
    options = ImportOptions(grid_resolution=13, scale=0.8, grid_file=tmp_path / "grid.npz")
    grid = import_checkpoint(path, options).generator.grid
    assert made == [13]
    assert (grid.verts.amax() - grid.verts.amin()).item() == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "unified_small",
            {"grid_file": GRID},
            r"grid_64\.npz is a grid of resolution 64, the option grid_resolution is 90",
        ),
        ("unified_flexi_small", {"grid_file": GRID}, "a FlexiCubes network takes no tetrahedral"),
        ("unified_small", {"grid_resolution": 2}, "grid_resolution must be from 3 to 2048, got 2"),
        ("unified_small", {"scale": 0.0}, "scale must be positive, got 0.0"),
        ("unified_small", {"scale": float("nan")}, "scale must be positive, got nan"),
        ("unified_small", {"deformation_multiplier": -1.0}, "deformation_multiplier must be"),
    ],
)
def test_options_that_do_not_fit(
    name: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_checkpoint(tmp_path / "car.pt", name)
    with pytest.raises(ValueError, match=message) as caught:
        import_checkpoint(path, ImportOptions(**options))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mapping__fc7__weight": None}, r"missing mapping\.fc7\.weight"),
        ({"mapping__embed__weight": torch.ones(3)}, r"unexpected mapping\.embed\.weight"),
        ({"mapping_geo__w_avg": torch.ones(9)}, r"w_avg has shape \[9\], needs \[64\]"),
        ({"mapping__fc0__weight": None}, "not the tensors of a published GET3D generator"),
        ({"mapping_geo__w_avg": torch.ones(64).long()}, r"w_avg has the type torch\.int64"),
    ],
)
def test_networks_that_do_not_fit(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "car.pt", "unified_small", **change)
    with pytest.raises(ValueError, match=message) as caught:
        import_checkpoint(path)
    assert str(path) in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unified_full", "separate_full"])
def test_full_size(name: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "car.pt", name)
    save_model(import_checkpoint(path, options_of(config_of(name))), tmp_path / "car")
    model = load(tmp_path / "car")
    assert_is_reference(model, read(name))
    assert model.generator.config.channel_base == 32768
    assert model.generator.config.plane_resolution == 256
