import pytest

from get3d.core import ConfigError, DataError, Get3DError, MeshError, ModelError
from get3d.data import MeshFileError


@pytest.mark.parametrize("kind", [ConfigError, DataError, MeshError, ModelError])
def test_errors_are_value_errors_too(kind: type[Get3DError]) -> None:
    assert issubclass(kind, Get3DError)
    assert issubclass(kind, ValueError)


def test_mesh_file_errors_are_mesh_errors() -> None:
    error = MeshFileError("cup.glb", "has no faces")
    assert isinstance(error, MeshError)
    assert str(error) == "cup.glb: has no faces"
