"""Archives that two readers interpret differently, and pickles of other things than tensors."""

import io
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from get3d.core import torch_files
from get3d.interop import read_state_dicts
from tests.interop.test_checkpoints import WEIGHTS, Touch, assert_rejected, save, with_pickle

G_EMA = b"X\x05\x00\x00\x00G_ema"


def entries(content: object) -> dict[str, bytes]:
    """What torch.save writes, by the name behind the prefix."""
    saved = io.BytesIO()
    torch.save(content, saved)
    with zipfile.ZipFile(saved) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def write(path: Path, pairs: list[tuple[str, bytes]], **options: Any) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", **options) as archive:
        warnings.simplefilter("ignore")  # about names that are there twice
        for name, data in pairs:
            archive.writestr(name, data)
    return path


def good(prefix: str = "car/") -> list[tuple[str, bytes]]:
    return [(prefix + name, data) for name, data in entries({"G_ema": WEIGHTS}).items()]


@pytest.fixture
def unsafe_torch_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `torch.load` execute any pickle, as without weights_only."""
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **_: load(path, weights_only=False))


class TestReadersThatDisagree:
    @pytest.mark.usefixtures("unsafe_torch_load")
    @pytest.mark.parametrize("name", ["DATA.PKL", "Data.pkl"])
    @pytest.mark.parametrize("place", ["before", "behind"])
    def test_the_checks_before_loading_hold_alone(
        self, tmp_path: Path, name: str, place: str
    ) -> None:
        """PyTorch ignores the case of names, and takes one of the two pickles."""
        evil = [(f"car/{name}", entries(Touch(tmp_path / "was_run"))["data.pkl"])]
        pairs = [*evil, *good()] if place == "before" else [*good(), *evil]
        assert_rejected(write(tmp_path / "car.pt", pairs), "would run code.*it names .*mkdir")
        assert not (tmp_path / "was_run").exists()

    @pytest.mark.usefixtures("unsafe_torch_load")
    def test_two_lists_of_entries(self, tmp_path: Path) -> None:
        """Python looks for the list directly before the end, PyTorch where the end says."""
        evil = entries({"G_ema": WEIGHTS}) | {"data/0": b"\0" * 1000}
        evil["data.pkl"] = entries(Touch(tmp_path / "was_run"))["data.pkl"]
        first = write(tmp_path / "first.pt", [("car/" + name, evil[name]) for name in evil])
        second = write(tmp_path / "second.pt", good()).read_bytes()
        head = first.read_bytes()[:-22]
        size, start = struct.unpack("<LL", second[-10:-2])
        # Python counts the offsets of the second list from where it thinks that the archive begins.
        moved = bytearray(second[start : start + size])
        at = 0
        while at < size:
            offset = struct.unpack_from("<L", moved, at + 42)[0]
            struct.pack_into("<L", moved, at + 42, len(head) + offset - start - size)
            at += 46 + sum(struct.unpack_from("<HHH", moved, at + 28))
        end = second[-22:-10] + struct.pack("<LL", size, len(head) - size) + b"\0\0"
        path = tmp_path / "car.pt"
        path.write_bytes(head + second[:start] + bytes(moved) + end)
        with zipfile.ZipFile(path) as archive:
            assert archive.read("car/data.pkl") == dict(good())["car/data.pkl"]
            assert archive.testzip() is None
        assert torch.equal(read_state_dicts(path, "G_ema")["G_ema"]["a"], WEIGHTS["a"])
        assert not (tmp_path / "was_run").exists()
        torch.load(path)  # otherwise the test could not fail
        assert (tmp_path / "was_run").exists()

    def test_what_torch_saves_passes(self, tmp_path: Path) -> None:
        for content in ({"G_ema": WEIGHTS}, {"G_ema": {str(i): torch.ones(i) for i in range(300)}}):
            read_state_dicts(save(tmp_path / "car.pt", content), "G_ema")


class TestSizes:
    def test_a_compressed_archive(self, tmp_path: Path) -> None:
        """PyTorch would unpack it, whatever its size."""
        path = write(tmp_path / "car.pt", good(), compression=zipfile.ZIP_DEFLATED)
        assert_rejected(path, "was compressed.*as torch.save wrote it")

    def test_a_file_larger_than_any_checkpoint(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("get3d.interop.checkpoints._MAX_BYTES", 100)
        assert_rejected(write(tmp_path / "car.pt", good()), "is larger than .* no checkpoint of")

    def test_a_huge_pickle(self, tmp_path: Path) -> None:
        pairs = [("car/data.pkl", b"\x80\x02" + b"N" * (1 << 22))]
        assert_rejected(write(tmp_path / "car.pt", pairs), r"has a data\.pkl of more than 4 MiB")

    def test_overlapping_entries(self, tmp_path: Path) -> None:
        path = write(tmp_path / "car.pt", [("car/data/7", b"\0" * 9000), *good()])
        content = bytearray(path.read_bytes())
        at = content.index(b"PK\x01\x02")
        names = len(b"car/data/7")
        entry = bytes(content[at : at + 46 + names])
        copies = b"".join(entry[:-1] + bytes([48 + i]) for i in range(2, 7))
        content[at:at] = copies
        count, _, size = struct.unpack("<HHL", content[-14:-6])
        content[-14:-6] = struct.pack("<HHL", count + 5, count + 5, size + len(copies))
        path.write_bytes(content)
        assert_rejected(path, "claim more than the file holds|Overlapped")

    def test_a_storage_larger_than_its_entry(self, tmp_path: Path) -> None:
        """It would go on in whatever follows in the file."""
        small = entries({"G_ema": {"a": torch.ones(2), "b": torch.zeros(500)}})
        program = small["data.pkl"].replace(b"K\x02", b"K\x3c")
        assert program != small["data.pkl"]
        pairs = [("car/" + name, data) for name, data in (small | {"data.pkl": program}).items()]
        assert_rejected(write(tmp_path / "car.pt", pairs), "is cut short or damaged .record size")


def shared_tuples() -> bytes:
    """Tuples of two, each with the one before twice: 2^60 items in some 300 bytes."""
    program = b"K\x01\x85q\x00"
    for i in range(60):
        program += b"h" + bytes([i]) * 1 + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1])
    return program


class TestPrograms:
    @pytest.mark.parametrize(
        "key",
        [b"K\x01" + b"\x85" * 10**6, shared_tuples(), b"(" + b"K\x01" * 2000 + b"t"],
        ids=["nested", "shared", "long"],
    )
    def test_nested_tuples_of_many_items(self, tmp_path: Path, key: bytes) -> None:
        path = with_pickle(tmp_path / "car.pt", b"\x80\x02}" + key + b"K\x01s.")
        assert_rejected(path, "holds a tuple of more than 1000 items")

    @pytest.mark.parametrize("program", [b"t.", b"h\x07.", b"q\x01.", b"K\x01\x87.", b"(\x85u."])
    def test_instructions_that_find_nothing(self, tmp_path: Path, program: bytes) -> None:
        assert_rejected(with_pickle(tmp_path / "car.pt", b"\x80\x02" + program), "is cut short or")

    def test_scanning_stops_at_the_first_bad_name(self) -> None:
        """However long the pickle is."""
        harm = torch_files._find_harm(b"\x80\x02cos\nsystem\n" + b"\xff" * 100)
        assert harm is not None
        assert harm.endswith("it names os.system")

    def test_attributes_of_a_dictionary_are_not_its_content(self, tmp_path: Path) -> None:
        class Dressed:
            def __reduce__(self) -> tuple[Any, ...]:
                attributes = {"items": 3, "keys": 3}
                return OrderedDict, (), attributes, None, iter(WEIGHTS.items())

        path = save(tmp_path / "car.pt", {"G_ema": Dressed()})
        read = read_state_dicts(path, "G_ema")["G_ema"]
        assert torch.equal(read["a"], WEIGHTS["a"])

    def test_what_torch_saves_passes(self, tmp_path: Path) -> None:
        """Sizes and strides that are equal are written once, and taken from there again."""
        base = torch.arange(9.0)
        module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
        content = {
            "G_ema": OrderedDict(a=base[:4], b=base.view(3, 3), c=torch.nn.Parameter(base)),
            "G": module.state_dict(),
            "optimiser": torch.optim.Adam(module.parameters()).state_dict(),
            "options": [
                1,
                2.5,
                None,
                True,
                -3,
                2**40,
                "é",
                (1, (2, 3)),
                (),
                base.shape,
                [0] * 2000,
            ],
        }
        read = read_state_dicts(save(tmp_path / "car.pt", content), "G_ema")["G_ema"]
        assert torch.equal(read["b"], base.view(3, 3))
