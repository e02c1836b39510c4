from pathlib import Path

import pytest

from get3d.core.presets import find_config, preset_folder, preset_names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_presets_are_found_from_any_folder(folder: Path) -> None:
    assert preset_names()
    for name in preset_names():
        expected = preset_folder() / f"{name}.yaml"
        assert expected.is_file()
        for spelling in (name, f"{name}.yaml", f"configs/{name}.yaml"):
            assert find_config(spelling) == expected


def test_an_existing_file_takes_precedence(folder: Path) -> None:
    mine = folder / f"{preset_names()[0]}.yaml"
    mine.write_text("{}")
    assert find_config(mine.name).resolve() == mine


@pytest.mark.parametrize("wrong", ["nothing.yaml", "elsewhere/{name}.yaml", "{name}.json"])
def test_a_wrong_name_lists_the_presets(folder: Path, wrong: str) -> None:
    name = preset_names()[0]
    with pytest.raises(FileNotFoundError, match=rf"presets: .*{name}"):
        find_config(wrong.format(name=name))
