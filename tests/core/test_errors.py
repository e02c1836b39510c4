import pytest

from get3d.core import ConfigError, DataError, Get3DError, MeshError, ModelError
from get3d.data import MeshFileError


@pytest.mark.parametrize("kind", [ConfigError, DataError, MeshError, ModelError])
def test_what_a_user_can_mend_is_a_value_error_too(kind: type[Get3DError]) -> None:
    assert issubclass(kind, Get3DError)
    assert issubclass(kind, ValueError)


def test_a_mesh_file_that_cannot_be_used_is_a_mesh_error() -> None:
    error = MeshFileError("cup.glb", "has no faces")
    assert isinstance(error, MeshError)
    assert str(error) == "cup.glb: has no faces"
