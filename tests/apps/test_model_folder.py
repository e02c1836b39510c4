import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from get3d.apps import load, save_model
from get3d.apps.model import Model
from get3d.geometry import is_oriented, make_grid
from get3d.models import Generator

FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "model_format_1"


@pytest.fixture
def folder(model, tmp_path):
    save_model(model, tmp_path / "saved")
    return tmp_path / "saved"


def edit_config(folder, **changes):
    path = folder / "config.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content.update(changes)
    path.write_text(yaml.safe_dump(content))
    return content


def edit_weights(folder, change):
    """Change the weights, and the config's digest with them."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    config = folder / "config.yaml"
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    config.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_what_is_saved_is_loaded(model, folder):
    before = torch.get_rng_state()
    found = load(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.generator.config == model.generator.config
    assert (found.info.name, found.info.description) == ("tiny", "Ünfug")
    assert (found.info.licence, found.info.source) == ("MIT", str(folder))
    expected = model.generator.state_dict()
    for name, tensor in found.generator.state_dict().items():
        assert torch.equal(tensor, expected[name])
    assert not any(weight.requires_grad for weight in found.generator.parameters())
    (first,), (second,) = (each.generate(texture_size=32) for each in (model, found))
    assert torch.equal(first.mesh.verts, second.mesh.verts)
    assert torch.equal(first.materials[0].texture, second.materials[0].texture)


def test_is_unlit_is_saved_and_defaults_to_false(model, tmp_path):
    unlit = replace(model, info=replace(model.info, is_unlit=True))
    save_model(unlit, tmp_path)
    assert load(tmp_path).info.is_unlit
    content = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert content["info"].pop("is_unlit") is True
    edit_config(tmp_path, info=content["info"])
    assert not load(tmp_path).info.is_unlit
    assert not load(FORMAT_1).info.is_unlit
    edit_config(tmp_path, info=content["info"] | {"is_unlit": "yes"})
    with pytest.raises(ValueError, match=r"info\.is_unlit"):
        load(tmp_path)


def test_folder_holds_three_files_and_a_card(folder):
    names = {entry.name for entry in folder.iterdir()}
    assert names == {"config.yaml", "model.safetensors", "README.md"}
    head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n")[1:]
    assert yaml.safe_load(head)["license"] == "mit"
    assert "# tiny" in body
    assert "Ünfug" in body


def test_a_grid_of_ones_own_is_kept(model, tmp_path):
    grid = model.generator.grid
    bent = make_grid(grid.verts * 0.9, grid.tets, resolution=grid.resolution)
    own = Model(Generator(model.generator.config, grid=bent))
    save_model(own, tmp_path)
    torch.testing.assert_close(load(tmp_path).generator.grid.verts, bent.verts)
    assert torch.equal(load(tmp_path).generator.grid.tets, bent.tets)


@pytest.mark.parametrize("sdf_inside", ["positive", "negative"])
def test_flexicubes_is_saved_and_generates(model, tmp_path, sdf_inside):
    changes = {"iso_surface": "flexicubes", "sdf_inside": sdf_inside, "grid_resolution": 8}
    if sdf_inside == "negative":
        changes["sdf_base"] = "none"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = Model(Generator(replace(model.generator.config, **changes)))
    save_model(own, tmp_path)
    found = load(tmp_path)
    assert found.generator.config == own.generator.config
    assert not any(name.startswith("grid.") for name in load_file(tmp_path / "model.safetensors"))
    (first,), (second,) = (each.generate(texture_size=256) for each in (own, found))
    assert len(first.mesh.faces) > 0
    assert torch.equal(first.mesh.verts, second.mesh.verts)
    assert torch.equal(first.mesh.faces, second.mesh.faces)
    assert is_oriented(first.mesh)


def test_saving_again_replaces_the_model_and_keeps_other_files(model, folder):
    (folder / "notes.txt").write_text("mine")
    with torch.no_grad():
        for weight in model.generator.parameters():
            weight.zero_()
    save_model(model, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert all((weight == 0).all() for weight in load(folder).generator.parameters())


def test_a_failed_save_leaves_the_old_model(model, folder, no_space):
    before = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
    with no_space(), pytest.raises(OSError, match="File too large"):
        save_model(model, folder)
    assert {entry.name: entry.read_bytes() for entry in folder.iterdir()} == before


def test_a_save_that_was_killed_leaves_nothing_behind_for_the_next(model, folder):
    (folder / ".model.get3d-tmp-0.safetensors").write_bytes(b"half")
    save_model(model, folder)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors", "README.md"])
def test_a_folder_in_place_of_a_file_changes_nothing(model, folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(
        IsADirectoryError,
        match=rf"a folder is where a file is to be written; move it away: .*{name}",
    ):
        save_model(model, folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_new_weights_do_not_get_the_licence_of_old_ones(model, folder, monkeypatch):
    """As after a kill between the first file that takes its place and the last."""
    with torch.no_grad():
        next(model.generator.parameters()).add_(1)
    replace_file = Path.replace

    def killed(path, target):
        if target.name == "config.yaml":
            raise KeyboardInterrupt
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, folder)
    with pytest.raises(ValueError, match="do not belong together: weights is"):
        load(folder)
    monkeypatch.undo()
    save_model(model, folder)
    load(folder)


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"saved holds no {name}"):
        load(folder)


@pytest.mark.parametrize("kept", [0, 7, 500, -1])
def test_truncated_weights(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or no safetensors file"):
        load(folder)


def test_weights_of_another_config(model, folder, tmp_path):
    config = type(model.generator.config)(**{**vars(model.generator.config), "scale": 0.8})
    save_model(Model(Generator(config)), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    with pytest.raises(ValueError, match=r"do not belong together: scale is 1\.0 in the one and"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("mapping_geo.w_avg"), "w_avg is only in config.yaml"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra is only in model.safetens"),
        (
            lambda tensors: tensors.update({"mapping_geo.w_avg": torch.zeros(9)}),
            r"mapping_geo.w_avg has shape \[9\], the config needs \[8\]",
        ),
        (
            lambda tensors: tensors["mapping_geo.w_avg"].fill_(torch.nan),
            "mapping_geo.w_avg has values that are not finite",
        ),
        (lambda tensors: tensors.update({"grid.verts": torch.zeros(4, 3)}), "half a grid: verts"),
        (
            lambda tensors: tensors.update(
                {"mapping_geo.w_avg": torch.full((8,), 1e300, dtype=torch.float64)}
            ),
            "not finite as 32-bit floats",
        ),
    ],
)
def test_weights_that_do_not_fit(folder, change, message):
    edit_weights(folder, change)
    with pytest.raises(ValueError, match=message) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "dtype",
    [torch.int64, torch.bool, torch.uint16, torch.complex64, torch.float8_e4m3fn],
    ids=str,
)
def test_weights_of_other_types(folder, dtype):
    edit_weights(
        folder, lambda tensors: tensors.update({"mapping_geo.w_avg": torch.ones(8).to(dtype)})
    )
    with pytest.raises(
        ValueError, match=r"model\.safetensors: mapping_geo\.w_avg has the type torch"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("verts", "tets", "message"),
    [
        (lambda v: v * torch.nan, lambda t: t, r"grid\.verts has values that are not finite"),
        (lambda v: v.int(), lambda t: t, r"grid\.verts has the type torch\.int32"),
        (lambda v: v.flatten(), lambda t: t, r"verts \[n, 3\] and whole numbers as tets \[m, 4\]"),
        (lambda v: v[:, :2].clone(), lambda t: t, r"verts \[n, 3\]"),
        (lambda v: v, lambda t: t[:, :3].clone(), r"tets \[m, 4\]"),
        (lambda v: v, lambda t: t + 0.4, "whole numbers as tets .*of torch.float32"),
        (lambda v: v, lambda t: t + 999999, r"tets must hold indices in \[0, "),
        (lambda v: v[:0], lambda t: t[:0], "tets must not be empty"),
    ],
)
def test_invalid_grids_raise(model, folder, verts, tets, message):
    grid = model.generator.grid
    parts = {"grid.verts": verts(grid.verts), "grid.tets": tets(grid.tets)}
    edit_weights(folder, lambda tensors: tensors.update(parts))
    with pytest.raises(ValueError, match=rf"model\.safetensors.*{message}"):
        load(folder)


@pytest.mark.parametrize(
    "recorded", ["3", '["scale"]', "null", '"x"', "[" * 100_000, "{", '{"scale": NaN}']
)
def test_metadata_of_something_else(folder, recorded):
    path = folder / "model.safetensors"
    save_file(load_file(path), path, metadata={"generator": recorded})
    with pytest.raises(
        ValueError, match=r"is damaged or no safetensors file|do not belong together"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w_dim": 8000, "z_dim": 8000}, r"has shape \[8\], the config needs \[8000\]"),
        ({"mapping_layers": 10**9}, "mapping_layers must be at most 64, got 1000000000"),
        ({"mlp_hidden_layers": 64}, "does not fit config.yaml"),
        (
            {"plane_resolution": 2**60, "channel_base": 2**60},
            "plane_resolution must be at most 4096",
        ),
        ({"grid_resolution": 5000}, "grid_resolution must be from 3 to 2048, got 5000"),
    ],
)
def test_wrong_sizes_allocate_no_memory(folder, monkeypatch, changes, message):
    content = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    edit_config(folder, generator=content["generator"] | changes)
    edit_weights(folder, lambda tensors: None)
    monkeypatch.setattr("get3d.apps.model_folder.Generator", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(ValueError, match=message) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_half_precision_weights_are_read(folder, model):
    edit_weights(folder, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    weight = next(load(folder).generator.parameters())
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, next(model.generator.parameters()), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(("number", "suggestion"), [(2, "upgrade get3d"), (0, "save it again")])
def test_other_formats_raise(folder, number, suggestion):
    edit_config(folder, format=number)
    with pytest.raises(
        ValueError, match=rf"has format {number}, this get3d .* reads 1; {suggestion}"
    ):
        load(folder)


@pytest.mark.parametrize(
    "text",
    ["", "just text", "[1, 2]", "format: one", "generator: {}", f"format: 0x{'f' * 5000}"],
)
def test_config_of_something_else(folder, text):
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match="it has no format number"):
        load(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"format: [1",
        b"\xff\xfe\x00",
        b"[" * 5000,
        b"format: " + b"9" * 5000,
        b"name: 2001-99-99",
        b"name: !!int ''",
        b"name: !!timestamp x",
        b"name: &a [*a]",
        b"name: !!python/object/apply:os.system ['true']",
    ],
)
def test_config_that_is_no_yaml(folder, content):
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml is no valid YAML") as caught:
        load(folder)
    assert len(str(caught.value)) < 500


def test_config_with_aliases_raises(folder):
    lines = ["l0: &l0 {a: 1}"]
    lines += [f"l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    (folder / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"aliases \(\*\) are not accepted"):
        load(folder)


def test_long_values_are_shortened(folder):
    edit_config(folder, info={"name": ["x" * 1000] * 1000})
    with pytest.raises(ValueError, match=r"info\.name must be text; got") as caught:
        load(folder)
    assert len(str(caught.value)) < 500


def test_unknown_key(folder):
    edit_config(folder, generator={"plane_resolutoin": 8})
    with pytest.raises(ValueError, match=r"config\.yaml: unknown key generator\.plane_resolutoin"):
        load(folder)


def test_key_of_another_version_names_the_version(folder):
    edit_config(folder, written_by="9.0.0", novelty=1)
    with pytest.raises(ValueError, match=r"unknown key novelty.*written by get3d 9\.0\.0, this is"):
        load(folder)


def test_folders_written_long_ago_are_read_and_give_the_same_shapes():
    """Written by get3d 0.1.0. Do not write it anew: people have folders like it."""
    model = load(FORMAT_1)
    assert (model.info.name, model.info.licence) == ("format-1", "CC0-1.0")
    z = torch.tensor([[0.5, -1.0, 2.0, 0.25]])
    fields = model.generator.fields(model.generator.map(z, z.flip(1), truncation=0.7))
    points = torch.tensor([[0.0, 0.0, 0.0], [0.1, -0.2, 0.3]])
    sdf = torch.tensor([[0.340852, -0.047455]])
    color = torch.tensor([[[0.096836, 0.778146, -0.904745], [-0.023213, 0.419943, -0.753730]]])
    torch.testing.assert_close(fields.sdf(points), sdf, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fields.color(points), color, atol=1e-5, rtol=1e-5)
    (mesh,) = model.generator.surface(fields)
    assert (len(mesh.verts), len(mesh.faces)) == (48, 92)
