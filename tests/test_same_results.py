import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/same_results.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("same_results")


@pytest.fixture
def probes(script: ModuleType) -> ModuleType:
    """scripts/same_results_probes.py as a module."""
    return importlib.import_module("same_results_probes")


def make_record() -> dict[str, np.ndarray]:
    return {
        "glb/shape-0": np.frombuffer(b"glTF1234", np.uint8),
        "training/run/log/loss": np.array([0.5, np.nan, -2.0]),
        "training/run/saved/model.weight": np.array("a1b2"),
        "images/mesh.face_id": np.array([[-1, 0], [3, 4]]),
    }


def test_equal_records_have_the_same_bits(script: ModuleType) -> None:
    assert script.find_differences(make_record(), make_record()) == []
    is_same, lines = script.report("training", make_record(), make_record(), {})
    assert is_same
    assert lines == ["training     same bits (2 results)"]


def test_the_largest_difference_is_named_with_its_place(script: ModuleType) -> None:
    new = make_record()
    new["images/mesh.face_id"] = np.array([[-1, 0], [3, 5]])
    new["images/more"], old = np.array([100.0, 101.0]), make_record()
    old["images/more"] = np.array([100.0, 100.0])
    is_same, [line] = script.report("images", old, new, {})
    assert not is_same
    assert "2 of 2 results differ" in line
    assert "images/mesh.face_id[1, 1]: 4 became 5, values up to 4" in line


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (np.arange(3), np.zeros(4, int), r"int64 \[3\] became int64 \[4\], other from 1 on"),
        (np.zeros(3), np.zeros(3, np.float32), r"float64 \[3\] became float32 \[3\]"),
        (np.zeros(1), np.array([-0.0]), "other bits"),
        (np.array([1.0, 2.0]), np.array([1.0, np.nan]), r"\[1\]: 2.0 became nan"),
        (np.array([np.inf] * 2), np.array([1.0, np.inf]), r"\[0\]: inf became 1.0"),
        (np.array(1.0), np.array(1.0 + 2**-52), "x: 1.0 became 1.0000000000000002"),
        (np.array(True), np.array(False), "True became False"),
        (np.array("a1"), np.array("b2"), "a1... became b2"),
    ],
)
def test_every_kind_of_difference_is_found(
    script: ModuleType, old: np.ndarray, new: np.ndarray, text: str
) -> None:
    difference = script.compare_values("x", old, new)
    assert difference is not None
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(difference.text)


def test_a_result_of_one_side_alone_is_a_difference(script: ModuleType) -> None:
    new = make_record()
    del new["training/run/log/loss"]
    is_same, [line] = script.report("training", make_record(), new, {})
    assert not is_same
    assert "training/run/log/loss: only the old code gives it" in line


def test_failed_and_missing_probes_are_never_the_same(script: ModuleType) -> None:
    failed = {"glb/failed": np.array("ValueError: no surface")}
    is_same, lines = script.report("glb", failed, failed, {"*": "whatever it is"})
    assert not is_same
    assert "ValueError: no surface" in lines[0]
    assert not script.report("metrics", make_record(), make_record(), {})[0]


def test_a_reason_excuses_what_it_names_and_nothing_else(script: ModuleType) -> None:
    new = make_record()
    new["training/run/log/loss"] = np.array([0.5, np.nan, -2.5])
    exceptions = {"training/*/log/loss": "summed in another order"}
    is_same, lines = script.report("training", make_record(), new, exceptions)
    assert is_same
    assert lines[1] == "  excepted: training/run/log/loss (summed in another order)"
    new["training/run/saved/model.weight"] = np.array("c3d4")
    assert not script.report("training", make_record(), new, exceptions)[0]


def test_new_names_are_compared_as_the_old_ones(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "RENAMED", (("loss", "cost"),))
    new = make_record()
    new["training/run/log/cost"] = new.pop("training/run/log/loss")
    assert script.find_differences(make_record(), script.translate(new)) == []
    with pytest.raises(ValueError, match="same name"):
        script.translate(make_record() | new)


def test_flags_have_the_spelling_that_the_command_knows(
    script: ModuleType, probes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "RENAMED", (("parts", "num_parts"), ("old", "new")))
    options = {"old.parts": 2, "old.is_fast": False}
    before, after = {"old.parts", "old.is_fast"}, {"new.num_parts", "new.is_fast"}
    assert probes.to_flags(options, before) == ["--old.parts", "2", "--old.no-is-fast"]
    assert probes.to_flags(options, after) == ["--new.num-parts", "2", "--new.no-is-fast"]
    with pytest.raises(LookupError, match=r"old.parts or .* is not known"):
        probes.to_flags(options, {"old.is_fast"})


def test_numbers_are_listed_and_texts_left_out(probes: ModuleType) -> None:
    found = dict(probes.flatten({"a": [1, {"b": None}], "c": "text", "d": np.ones(2)}))
    assert list(found) == ["a.0", "a.1.b", "d"]
    assert np.isnan(found["a.1.b"])


def test_a_run_is_recorded_and_compared(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command, with probes that take no time."""
    records: Iterator[dict[str, np.ndarray]] = iter(
        [make_record(), make_record(), make_record() | {"glb/shape-0": np.zeros(8, np.uint8)}]
    )

    def run_probes(root: Path, only: list[str], inputs: bytes | None) -> dict[str, np.ndarray]:
        assert inputs in (None, b"tar")
        return next(records) | {script.INPUTS: np.frombuffer(b"tar", np.uint8)}

    monkeypatch.setattr(script, "run_probes", run_probes)
    monkeypatch.setattr(script, "EXCEPTIONS", {})
    file = str(tmp_path / "before.npz")
    for args, code in ((["--record", file], 0), (["--compare", file], 0), (["--compare", file], 1)):
        monkeypatch.setattr(sys, "argv", ["same_results.py", *args, "--only", "glb", "images"])
        assert script.main() == code


def test_a_commit_is_checked_out_and_the_worktree_goes_away(script: ModuleType) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    with script.checked_out("HEAD") as tree:
        assert (tree / "src" / "get3d" / "__init__.py").is_file()
    assert not tree.exists()
    git = ["git", "-C", str(ROOT), "worktree", "list"]
    assert str(tree) not in subprocess.run(git, capture_output=True, text=True, check=True).stdout
