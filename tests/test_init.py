import dataclasses
import subprocess
import sys

import pytest

import get3d


@pytest.mark.parametrize("name", get3d.__all__)
def test_every_public_name_is_there(name):
    assert getattr(get3d, name) is not None
    assert name in dir(get3d)


@pytest.mark.parametrize(
    "path",
    [
        "apps.Model.generate",
        "models.Generator.map",
        "models.Generator.fields",
        "models.Generator.surface",
        "models.fields.Fields.sdf",
        "models.fields.Fields.deformation",
        "models.fields.Fields.color",
        "render.rasterize",
        "render.render_mesh",
        "geometry.marching_tets",
        "metrics.chamfer_distance",
        "metrics.light_field_distance",
        "metrics.coverage",
        "metrics.minimum_matching_distance",
        "metrics.nearest_neighbour_accuracy",
        "metrics.frechet_distance",
        "interop.published.load_generator",
        "interop.published.load_discriminator",
        "load",
        "save",
    ],
)
def test_names_that_stay(path):
    """Names that notebooks and other programs rely on (docs/design.md)."""
    found = get3d
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)


def test_fields_of_results_that_stay():
    """Attributes of the dataclasses that these functions return."""
    for kind, names in {
        get3d.core.Styles: {"geo", "tex"},
        get3d.core.Mesh: {"verts", "faces"},
        get3d.core.GBuffer: {"face_id", "mask", "position", "depth"},
        get3d.core.DiscriminatorOutput: {"rgb", "mask"},
        get3d.core.Condition: {"angles", "label"},
        get3d.core.ImageBatch: {"images", "condition"},
    }.items():
        assert names <= {field.name for field in dataclasses.fields(kind)}


def test_version_is_that_of_the_package():
    assert get3d.__version__.split(".")[0].isdigit()


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        get3d.lode  # noqa: B018


def test_import_does_not_wait_for_pytorch():
    code = "import sys, get3d; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
