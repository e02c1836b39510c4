import subprocess
import sys

import pytest

import get3d


@pytest.mark.parametrize("name", get3d.__all__)
def test_every_public_name_is_there(name):
    assert getattr(get3d, name) is not None
    assert name in dir(get3d)


def test_names_that_stay():
    assert callable(get3d.render.rasterize)
    assert callable(get3d.geometry.marching_tets)
    assert callable(get3d.interop.published.load_generator)
    assert callable(get3d.metrics.chamfer_distance)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        get3d.lode  # noqa: B018


def test_import_does_not_wait_for_pytorch():
    code = "import sys, get3d; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
