"""Presets: the configurations that ship with get3d, one folder of YAML files."""

import difflib
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def preset_folder() -> Path:
    """Return the folder of the presets.

    In the repository it is `configs/`; a wheel contains it inside the package as `presets`.

    Returns:
        The folder in the wheel, or in the repository of an editable install.
    """
    packed = _PACKAGE / "presets"
    return packed if packed.is_dir() else _PACKAGE.parents[1] / "configs"


def preset_names() -> list[str]:
    """List the names of the presets, in alphabetical order."""
    return sorted(path.stem for path in preset_folder().glob("*.yaml"))


def find_config(name_or_path: str | Path) -> Path:
    """Find a configuration by its path, or a preset by its name or file name.

    An existing file takes precedence. `tiny-64`, `tiny-64.yaml` and `configs/tiny-64.yaml` all name
    the preset, in any working directory.

    Args:
        name_or_path: Path of a YAML file, or the name of a preset.

    Returns:
        Path of an existing file.

    Raises:
        FileNotFoundError: If there is neither; the message lists the presets.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = preset_names()
    is_preset_name = path.parent in (Path(), Path("configs")) and path.suffix in ("", ".yaml")
    stem = path.name.removesuffix(".yaml")
    if is_preset_name and stem in names:
        return preset_folder() / f"{stem}.yaml"
    close = difflib.get_close_matches(stem, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise FileNotFoundError(
        f"no configuration {name_or_path}: neither a file nor a preset; {hint}"
        f"presets: {', '.join(names) or 'none'}"
    )
