"""What a run folder says about the data that its model was trained on."""

import json
from pathlib import Path

from get3d.core import DataError, write_text

RUN_NAME = "run.json"


def write_run_data(run: Path, data: Path) -> None:
    """Write down the dataset of a run, for `get3d train --resume` and `get3d evaluate`.

    Args:
        run: The run folder.
        data: Folder of the dataset.
    """
    write_text(run / RUN_NAME, json.dumps({"data": str(data.resolve())}) + "\n")


def read_run_data(source: Path | str | None) -> Path | None:
    """Return the folder of the dataset that a model was trained on.

    Args:
        source: A run folder or the model folder in it.

    Returns:
        The folder, which may have gone; None if the source is no run folder, or one of an earlier
        version of get3d.

    Raises:
        DataError: If the file in the run folder is damaged.
    """
    if source is None or not Path(source).is_dir():  # such as the name of a bundled model
        return None
    folder = Path(source).resolve()
    path = (folder.parent if folder.name == "model" else folder) / RUN_NAME
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        return Path(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} is damaged ({error}); delete it, and name the dataset with --data"
        ) from error
