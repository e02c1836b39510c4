import pickle

import pytest
import torch

from get3d.core import ModelError
from get3d.training.checkpoints import list_checkpoints, load_checkpoint, save_checkpoint


def save(folder, seen, keep=2):
    state = {"weights": torch.full((1000,), float(seen)), "step_index": seen}
    return save_checkpoint(folder, state, seen_images=seen, config={"a": 1}, keep=keep)


def test_round_trip_and_only_the_newest_stay(tmp_path):
    for seen in (0, 8, 16):
        save(tmp_path, seen)
    kept = list_checkpoints(tmp_path)
    assert [path.name for path in kept] == ["images-000000008.pt", "images-000000016.pt"]
    content = load_checkpoint(kept[-1])
    assert content["config"] == {"a": 1}
    assert torch.equal(content["state"]["weights"], torch.full((1000,), 16.0))


def test_absent_folder_has_none(tmp_path):
    assert list_checkpoints(tmp_path / "nowhere") == []


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_checkpoint(tmp_path / "images-000000000.pt")


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.98])
def test_error_of_a_truncated_file_has_its_name_and_a_suggested_fix(tmp_path, fraction):
    path = save(tmp_path, 8)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(ModelError, match=r"images-000000008.pt is (cut short|no file of)"):
        load_checkpoint(path)


def test_foreign_file_raises(tmp_path):
    path = tmp_path / "images-000000008.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="no training checkpoint"):
        load_checkpoint(path)


def test_other_format_version_is_named(tmp_path):
    path = tmp_path / "images-000000008.pt"
    torch.save({"format_version": 99, "config": {}, "state": {}}, path)
    with pytest.raises(ModelError, match="format 99"):
        load_checkpoint(path)


def test_nothing_is_executed(tmp_path):
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return (marker.write_text, ("x",))

    path = tmp_path / "images-000000008.pt"
    with path.open("wb") as file:
        pickle.dump(Hostile(), file, protocol=2)
    with pytest.raises(ModelError, match=r"no file of torch.save|would run code"):
        load_checkpoint(path)
    torch.save({"state": Hostile()}, path)
    with pytest.raises(ModelError, match=r"no file of torch.save|would run code"):
        load_checkpoint(path)
    assert not marker.exists()


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = save(tmp_path, 8)
    before = path.read_bytes()

    def fail(content, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        save(tmp_path, 8)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "content", [b"hello world", b"", b"PK\x03\x04" + bytes(40), b"\x80\x02]q."]
)
def test_any_damage_is_named(tmp_path, content):
    path = tmp_path / "images-000000004.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cut short or damaged|no file of torch.save") as caught:
        load_checkpoint(path)
    assert "weights_only" not in str(caught.value)


def test_a_checkpoint_without_a_config_is_none(tmp_path):
    path = tmp_path / "images-000000004.pt"
    torch.save({"format_version": 1, "state": {}}, path)
    with pytest.raises(ModelError, match="no training checkpoint of get3d"):
        load_checkpoint(path)
