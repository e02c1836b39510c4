"""Checkpoint files that are damaged, of another kind, or malicious."""

import contextlib
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from get3d.core import ModelError
from get3d.interop import read_state_dicts

WEIGHTS = OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.ones(()))


class Touch:
    """Unpickled, it makes a file: the proof that code was run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


def save(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def with_pickle(path: Path, program: bytes) -> Path:
    """Put another pickle into a checkpoint."""
    saved = io.BytesIO()
    torch.save({"G_ema": WEIGHTS}, saved)
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, program if name.endswith("data.pkl") else old.read(name))
    return path


def assert_rejected(path: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_state_dicts(path, "G_ema")
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_reads_the_named_state_dicts(tmp_path: Path) -> None:
    other = {"a": WEIGHTS["a"] + 1}
    path = save(tmp_path / "car.pt", {"G": other, "G_ema": WEIGHTS, "D": {"step": 3}})
    read = read_state_dicts(path, "G_ema", "G")
    assert list(read) == ["G_ema", "G"]
    for name, tensor in WEIGHTS.items():
        assert torch.equal(read["G_ema"][name], tensor)
    assert torch.equal(read["G"]["a"], other["a"])


def test_state_dicts_of_modules_parameters_and_other_precisions(tmp_path: Path) -> None:
    module = torch.nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    content = {
        "G": module.state_dict(),
        "G_ema": {
            "half": torch.ones(2, dtype=torch.float16),
            "double": torch.nn.Parameter(torch.ones(2, dtype=torch.float64)),
        },
    }
    read = read_state_dicts(save(tmp_path / "car.pt", content), "G", "G_ema")
    assert torch.equal(read["G"]["weight"], module.weight)
    assert read["G_ema"]["half"].dtype == torch.float16
    assert read["G_ema"]["double"].tolist() == [1, 1]


class TestFilesThatAreSomethingElse:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no file .*car\.pt; give a checkpoint"):
            read_state_dicts(tmp_path / "car.pt", "G_ema")

    def test_folder(self, tmp_path: Path) -> None:
        assert_rejected(tmp_path, "is a folder, not a checkpoint file")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is no file of torch.save"),
            (b"<html>404</html>", "is no file of torch.save"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer.*git lfs pull"),
            (pickle.dumps({"G_ema": {}}), "other pickles are refused, because reading them runs"),
        ],
    )
    def test_other_content(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "car.pt"
        path.write_bytes(content)
        assert_rejected(path, message)

    def test_zip_of_something(self, tmp_path: Path) -> None:
        path = tmp_path / "car.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "hello")
        assert_rejected(path, r"no file of torch\.save: it has no data\.pkl")

    @pytest.mark.parametrize("content", [[1, 2], {"model": WEIGHTS}, WEIGHTS])
    def test_checkpoint_of_another_kind(self, tmp_path: Path, content: object) -> None:
        path = save(tmp_path / "car.pt", content)
        assert_rejected(path, "no checkpoint of the GET3D release: it has no G_ema, only")

    def test_checkpoint_of_our_own_training(self, tmp_path: Path) -> None:
        path = save(tmp_path / "images-8.pt", {"format_version": 1, "config": {}, "state": {}})
        assert_rejected(path, "is a checkpoint of get3d train, which needs no import; name its run")

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({}, "G_ema is no state dict of tensors"),
            (torch.ones(3), "G_ema is no state dict of tensors"),
            ({"a": 3}, "G_ema holds a, a int, where a tensor is"),
            ({3: torch.ones(1)}, "G_ema holds 3, a Tensor, where a tensor is"),
            ({"a": torch.ones(2, dtype=torch.int64)}, r"a has the type torch\.int64, weights are"),
            ({"a": torch.ones(2, dtype=torch.complex64)}, r"a has the type torch\.complex64"),
            ({"a": torch.tensor([1, torch.nan])}, "a has values that are not finite"),
            ({"a": torch.tensor([1e300], dtype=torch.float64)}, "not finite as 32-bit floats"),
            ({(1, (2,)): torch.ones(1)}, "G_ema holds a tuple, a Tensor, where a tensor is"),
        ],
    )
    def test_values_of_another_kind(self, tmp_path: Path, weights: Any, message: str) -> None:
        assert_rejected(save(tmp_path / "car.pt", {"G_ema": weights}), message)


class TestDamage:
    @pytest.mark.parametrize("fraction", [0.01, 0.5, 0.9, 0.999])
    def test_cut_short(self, tmp_path: Path, fraction: float) -> None:
        path = save(tmp_path / "car.pt", {"G_ema": {"a": torch.randn(5000)}})
        content = path.read_bytes()
        path.write_bytes(content[: int(fraction * len(content))])
        assert_rejected(path, "is cut short or damaged")

    def test_a_wrong_byte_in_the_numbers(self, tmp_path: Path) -> None:
        path = save(tmp_path / "car.pt", {"G_ema": {"a": torch.zeros(5000)}})
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 64
        path.write_bytes(content)
        assert_rejected(path, "damaged .Bad CRC-32 for file .*data/0")

    @pytest.mark.parametrize(
        "program",
        [b"", b"\x80", b"hello", b"\x80\x02}q\x00", b"\x80\x02h\x07.", b"\x80\x02K\x01R.", b"\xff"],
    )
    def test_invalid_pickles(self, tmp_path: Path, program: bytes) -> None:
        assert_rejected(with_pickle(tmp_path / "car.pt", program), "damaged|release|refused")

    def test_wrong_bytes_in_the_pickle_lead_to_no_other_error(self, tmp_path: Path) -> None:
        saved = io.BytesIO()
        torch.save({"G_ema": WEIGHTS}, saved)
        with zipfile.ZipFile(saved) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
            program = archive.read(name)
        rng = np.random.default_rng(0)
        for place in rng.permutation(len(program))[:60]:
            changed = bytearray(program)
            changed[place] ^= int(rng.integers(1, 256))
            path = with_pickle(tmp_path / "car.pt", bytes(changed))
            with contextlib.suppress(ModelError):  # a changed name is still a state dict
                read_state_dicts(path, "G_ema")


class TestHarm:
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    @pytest.mark.parametrize("place", ["beside", "inside", "as the whole"])
    def test_code_is_refused_and_not_run(self, tmp_path: Path, protocol: int, place: str) -> None:
        trap = tmp_path / "was_run"
        content = {
            "beside": {"G_ema": WEIGHTS, "D": Touch(trap)},
            "inside": {"G_ema": {"a": Touch(trap)}},
            "as the whole": Touch(trap),
        }[place]
        path = save(tmp_path / "car.pt", content, pickle_protocol=protocol)
        assert_rejected(path, "refused, nothing was run")
        if protocol < 4:
            assert_rejected(path, "would run code when it is read: it names .*mkdir")
        assert not trap.exists()

    def test_the_trap_works(self, tmp_path: Path) -> None:
        """Otherwise the test above could not fail."""
        path = save(tmp_path / "car.pt", Touch(tmp_path / "was_run"))
        torch.load(path, weights_only=False)
        assert (tmp_path / "was_run").exists()

    @pytest.mark.parametrize(
        ("program", "named"),
        [
            (b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", r"os\.system"),
            (b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.", r"__builtin__\.eval"),
            (b"\x80\x02ctorch\nload\n.", r"torch\.load"),
            (b"\x80\x02ctorch.storage\n_load_from_bytes\n.", "_load_from_bytes"),
            (b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n.", "_rebuild_from_type_v2"),
            (b"\x80\x02ctorch.os\nsystemStorage\n.", "systemStorage"),
            (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "bytearray"),
            (b"\x80\x02ctorch._utils\n_rebuild_meta_tensor_no_storage\n.", "_meta_tensor"),
        ],
    )
    def test_error_names_the_global(self, tmp_path: Path, program: bytes, named: str) -> None:
        path = with_pickle(tmp_path / "car.pt", program)
        assert_rejected(path, f"would run code when it is read: it names .*{named}")

    def test_python_objects_of_ours_are_code_too(self, tmp_path: Path) -> None:
        path = save(tmp_path / "car.pt", {"G_ema": WEIGHTS, "options": np.ones(2)})
        assert_rejected(path, r"it names numpy\..*reconstruct")

    def test_pytorch_alone_runs_nothing_either(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("get3d.core.torch_files._find_harm", lambda program: None)
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # must not open it
        trap = tmp_path / "was_run"
        for protocol in (2, 4):
            path = save(tmp_path / "car.pt", {"G_ema": Touch(trap)}, pickle_protocol=protocol)
            assert_rejected(path, "holds more than plain tensors")
        assert not trap.exists()

    @pytest.mark.parametrize(
        "program",
        [
            b"}K\x012\x86K\x01s.",  # DUP
            b"}N0.",  # POP
            b"(dVa\nK\x01s.",  # DICT
            b"(X\x04\x00\x00\x00trueios\nsystem\n.",  # INST
            b"\x82\x01.",  # EXT1
        ],
    )
    def test_instructions_that_torch_does_not_write(self, tmp_path: Path, program: bytes) -> None:
        path = with_pickle(tmp_path / "car.pt", b"\x80\x02" + program)
        assert_rejected(path, "holds more than plain tensors.*refused, nothing was run")

    @pytest.mark.parametrize("torch_version", ["2.6.0", "2.9.1+cu126"])
    def test_a_vulnerable_pytorch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_version: str
    ) -> None:
        path = save(tmp_path / "car.pt", {"G_ema": WEIGHTS})
        monkeypatch.setattr(torch, "__version__", torch_version)
        assert_rejected(
            path, r"is not read with torch 2\..*pip install 'torch>=2\.10', or run get3d"
        )

    @pytest.mark.parametrize("size", [10**4, 10**12])
    def test_tensors_larger_than_the_file(self, tmp_path: Path, size: int) -> None:
        tensor: Tensor = torch.ones(1).expand(size)
        path = save(tmp_path / "car.pt", {"G_ema": {"a": tensor}})
        assert_rejected(path, f"claims tensors of {4 * size} bytes, more than the file holds")
