"""Version of get3d, as installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("get3d")
except PackageNotFoundError:  # run from a source folder
    __version__ = "unknown"
