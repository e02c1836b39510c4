"""Files are written atomically."""

import errno
from pathlib import Path

import pytest

from get3d.core import atomic_path, remove_leftovers, write_text


def test_new_file_is_complete_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "a.txt"
    with atomic_path(target) as temp_path:
        temp_path.write_text("new")
        assert temp_path.parent == target.parent
        assert temp_path.suffix == ".txt"
        assert not target.exists()
    assert [entry.name for entry in target.parent.iterdir()] == ["a.txt"]
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.EIO, "x")])
def test_failure_keeps_the_old_file_and_removes_the_new(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temp_path:
            temp_path.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_full_disk_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "model.bin"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"model\.bin; free some space") as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_really_full_device_is_recognised(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "a.bin"), Path("/dev/full").open("wb") as full:
            full.write(b"x" * 100_000)

    with pytest.raises(OSError, match="no space left"):
        fill()


def test_unwritten_block_is_an_error(tmp_path: Path) -> None:
    def forget() -> None:
        with atomic_path(tmp_path / "a.txt"):
            pass

    with pytest.raises(FileNotFoundError):
        forget()


def test_text_is_utf8_with_line_ends_as_given(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\n", durable=False)
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt" / "b").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"move it away: .*a\.txt"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt" / "b").is_dir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("x")
    folder = tmp_path / ".b.get3d-tmp-0"
    folder.mkdir()
    remove_leftovers(tmp_path)
    folder.rmdir()
    block = atomic_path(tmp_path / "a.txt")
    block.__enter__().write_text("killed here")
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["keep.txt"]
    remove_leftovers(tmp_path / "missing")


def test_errors_name_the_final_path(tmp_path: Path) -> None:
    target = tmp_path / f"{'a' * 250}.txt"
    with pytest.raises(OSError, match="too long") as info, atomic_path(target) as temp_path:
        temp_path.write_text("x")
    assert info.value.filename == str(target)


def test_a_folder_fails_before_the_block_begins(tmp_path: Path) -> None:
    with (
        pytest.raises(IsADirectoryError, match="move it away") as info,
        atomic_path(tmp_path),
    ):
        raise AssertionError("not reached")
    assert info.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())
