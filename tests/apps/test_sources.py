import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from get3d.apps import load, save_model, sources
from tests.interop.released_files import write_checkpoint


@pytest.fixture
def folder(model, tmp_path):
    save_model(model, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def hub(monkeypatch, folder):
    """Stand in for huggingface_hub: one repository, `maker/chairs`, with the model in a folder."""
    calls = []

    def snapshot_download(*, repo_id, revision, allow_patterns):
        calls.append((repo_id, revision, allow_patterns))
        if repo_id not in ("maker/chairs", "maker/chairs.pt"):
            raise RuntimeError("404 Client Error:\nrepository not found")
        return str(folder.parent)

    def hf_hub_download(*, repo_id, revision, filename):
        calls.append((repo_id, revision, filename))
        return str(write_checkpoint(folder.parent / filename, "unified_small"))

    module = ModuleType("huggingface_hub")
    module.hf_hub_download = hf_hub_download
    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return calls


def test_model_folder_by_its_name_or_its_files(folder):
    for source in (folder, str(folder), folder / "config.yaml", folder / "model.safetensors"):
        assert load(source).info.name == "tiny"
    assert load(folder, device="cpu").device == torch.device("cpu")


def test_run_folder_means_its_model(folder, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("batch: 8")
    shutil.copytree(folder, run / "model")
    assert load(run).info.name == "tiny"


def test_run_folder_without_a_model_yet(tmp_path):
    (tmp_path / "config.yaml").write_text("batch: 8")
    with pytest.raises(FileNotFoundError, match="training writes one with its first sample"):
        load(tmp_path)


def test_bundled_model(folder, monkeypatch):
    monkeypatch.setattr(sources, "files", lambda _package: folder.parent)
    with pytest.raises(FileNotFoundError, match="ships without a model; name one"):
        load()
    with pytest.raises(FileNotFoundError, match=r"ships with get3d \(none here\)"):
        load("chair")
    (folder.parent / "bundled").mkdir()
    folder.rename(folder.parent / "bundled" / "vessel")
    shutil.copytree(folder.parent / "bundled" / "vessel", folder.parent / "bundled" / "chair")
    model = load()
    assert (model.info.name, model.info.source) == ("tiny", "bundled")
    assert sources.bundled_names() == ["vessel", "chair"]
    assert load("chair").info.source == "chair"
    with pytest.raises(FileNotFoundError, match=r"ships with get3d \(vessel, chair\)"):
        load("car")
    monkeypatch.chdir(folder.parent)
    Path("chair").mkdir()  # a folder of that name is meant
    with pytest.raises(FileNotFoundError):
        load("chair")


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model folder .*nowhere"):
        load(tmp_path / "nowhere")


def test_other_file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is a file; a model is a folder"):
        load(path)


@pytest.mark.parametrize("inside", ["saved", "saved/", "saved/model.safetensors"])
def test_hub(hub, inside):
    source = f"hf://maker/chairs@v2/{inside}"
    assert load(source).info.source == source
    [(repo_id, revision, patterns)] = hub
    assert (repo_id, revision) == ("maker/chairs", "v2")
    assert patterns == ["saved/config.yaml", "saved/model.safetensors", "saved/README.md"]


def test_hub_repository_that_is_no_model(hub):
    wanted = r"holds no config\.yaml.*named with its file: hf://maker/chairs/file\.pt"
    with pytest.raises(FileNotFoundError, match=wanted):
        load("hf://maker/chairs")
    assert hub[0][1:] == (None, ["config.yaml", "model.safetensors", "README.md"])


def test_hub_that_cannot_be_reached(hub):
    with pytest.raises(OSError, match=r"hf://maker/tables cannot be fetched .*404 Client Error"):
        load("hf://maker/tables")


@pytest.mark.parametrize("source", ["hf://", "hf://maker", "hf://maker/", "hf://a/b/../../c"])
def test_hub_name_of_another_form(hub, source):
    with pytest.raises(ValueError, match=r"must be hf://owner/name\[@revision\]\[/folder\]"):
        load(source)
    assert not hub


def test_hub_client_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub"):
        load("hf://maker/chairs")


def test_path_objects_are_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(Path(tmp_path) / "x")


def test_checkpoints_of_the_release_are_models_too(tmp_path, caplog):
    path = write_checkpoint(tmp_path / "car.pt", "unified_small")
    with caplog.at_level("INFO"):
        model = load(path)
    assert (model.generator.config.grid_resolution, model.generator.config.scale) == (90, 1.0)
    assert model.info.source == str(path)
    assert "non-commercial. Taken as published: grid 90, scale 1; get3d import" in caplog.text


def test_checkpoint_on_the_hub(hub):
    model = load("hf://maker/chairs@v1/car.pt")
    assert hub == [("maker/chairs", "v1", "car.pt")]
    assert model.info.origin.startswith("`hf://maker/chairs@v1/car.pt`")
    assert model.info.source == "hf://maker/chairs@v1/car.pt"


def test_a_repository_that_is_called_like_a_checkpoint(hub, folder):
    with pytest.raises(FileNotFoundError, match=r"holds no config\.yaml"):
        load("hf://maker/chairs.pt")
    assert hub[0][0] == "maker/chairs.pt"


def test_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*car\.pt"):
        load(tmp_path / "car.pt")


def test_folder_that_is_called_like_a_checkpoint(folder):
    moved = folder.rename(folder.with_name("model.pt"))
    assert load(moved).info.name == "tiny"
