"""What an OBJ file asks for and does not get: missing images and material files."""

from pathlib import Path


def appearance_notes(path: Path) -> list[str]:
    """Tell what of a file's look is lost when it is read; of glTF, `TexturedMesh.losses` says it.

    Args:
        path: A mesh file that could be loaded.

    Returns:
        One sentence for each image or material file that is missing.
    """
    return _obj_notes(path) if path.suffix.lower() == ".obj" else []


def _obj_notes(path: Path) -> list[str]:
    """List the material files of an OBJ file, and the images that they name, that are missing."""
    notes = []
    for library in _values(path, "mtllib"):
        library_path = path.parent / library
        if not library_path.is_file():
            notes.append(f"material file {library} is missing")
            continue
        for keyword in ("map_kd", "map_pr", "map_pm", "map_ke", "norm"):
            for image in _values(library_path, keyword):
                names = (image, image.split()[-1])
                if not any((path.parent / name).is_file() for name in names):
                    notes.append(f"image {image} is missing")
    return sorted(set(notes))


def _values(path: Path, keyword: str) -> list[str]:
    """Collect what follows a keyword at the start of a line of a text file."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.lstrip().lower().startswith(keyword)]
    return [line.split(maxsplit=1)[1] for line in lines if len(line.split(maxsplit=1)) == 2]
