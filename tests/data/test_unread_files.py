"""Files of kinds that are not read are counted and named."""

from pathlib import Path

import pytest

from get3d.data import describe_unread, find_meshes
from get3d.data.unread_files import unread_files


def test_unread_kinds(tmp_path: Path) -> None:
    for name in ("a.fbx", "sub/b.FBX", "c.blend", "d.dae", ".hidden.fbx", "e.obj", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.dae").mkdir()
    files = unread_files([tmp_path, tmp_path / "sub", tmp_path / "e.obj"])
    assert [file.name for file in files] == ["a.fbx", "c.blend", "d.dae", "b.FBX"]
    expected = (
        "not read: 1 .blend, 1 .dae, 2 .fbx (a.fbx, c.blend, d.dae, ...); export them as .glb"
    )
    assert describe_unread(files) == expected
    assert describe_unread([]) == ""
    with pytest.raises(FileNotFoundError, match=r"no mesh files .* not read: 1 \.fbx \(b\.FBX\)"):
        find_meshes([tmp_path / "sub"])
