"""Run configurations from YAML files and presets."""

from pathlib import Path

from get3d.core import ConfigError, find_config, from_dict, read_yaml
from get3d.training import RunConfig


def load_config(source: str | Path) -> RunConfig:
    """Read a run's configuration.

    Args:
        source: A YAML file, or the name of a preset such as `tiny-64`.

    Returns:
        The configuration; what the file leaves out has the published value.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a preset.
        ConfigError: If the file is no YAML mapping, has an unknown key or a wrong value.
    """
    path = find_config(str(source))
    content = read_yaml(path)
    try:
        return from_dict(RunConfig, {} if content is None else content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
