"""Run by a Python with USD (PyPI `usd-core`): check USDZ files and read them back.

python usd_check.py FILE.usdz... prints one line of JSON a file, with what USD's own checks object
to, and writes what USD finds in it to FILE.json.
"""

import json
import sys
from pathlib import Path
from typing import Any


def find_problems(path: str, stage: Any) -> list[str]:
    """Whatever checks this version of USD has: before 26, those for ARKit too.

    The wheels from 24.11 to 25.11 lack a file that the checks need; 24.3 has it.
    """
    from pxr import UsdUtils

    if hasattr(UsdUtils, "ComplianceChecker"):
        checker = UsdUtils.ComplianceChecker(arkit=True, skipARKitRootLayerCheck=False)
        checker.CheckCompliance(path)
        return [*checker.GetErrors(), *checker.GetFailedChecks(), *checker.GetWarnings()]
    from pxr import UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    errors = UsdValidation.ValidationContext(validators).Validate(stage)
    return [error.GetErrorAsString() for error in errors]


def read_mesh(prim: Any) -> dict[str, object]:
    from pxr import UsdGeom, UsdShade

    mesh = UsdGeom.Mesh(prim)
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    found: dict[str, object] = {
        "points": plain(mesh.GetPointsAttr().Get()),
        "normals": plain(mesh.GetNormalsAttr().Get()),
        "counts": plain(mesh.GetFaceVertexCountsAttr().Get()),
        "corners": plain(mesh.GetFaceVertexIndicesAttr().Get()),
        "extent": plain(mesh.GetExtentAttr().Get()),
        "expected_extent": plain(UsdGeom.Mesh.ComputeExtent(mesh.GetPointsAttr().Get())),
        "double_sided": mesh.GetDoubleSidedAttr().Get(),
        "subdivision": mesh.GetSubdivisionSchemeAttr().Get(),
        "material": material.GetPrim().GetName(),
    }
    assert mesh.GetNormalsInterpolation() == UsdGeom.Tokens.vertex
    for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvarsWithValues():
        assert primvar.GetInterpolation() == UsdGeom.Tokens.vertex
        found[primvar.GetPrimvarName()] = plain(primvar.Get())
    return found


def plain(value: object) -> object:
    """Lists of numbers, for JSON."""
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return value
    return [plain(entry) for entry in value]


def read_material(prim: Any) -> dict[str, object]:
    """The inputs of all its shaders; of connected ones, what they are connected to."""
    from pxr import Sdf, UsdShade

    inputs: dict[str, object] = {}
    for shader in map(UsdShade.Shader, prim.GetChildren()):
        for entry in shader.GetInputs():
            sources, _ = entry.GetConnectedSources()
            value = entry.Get()
            if sources:
                source = sources[0]
                value = f"{source.source.GetPrim().GetName()}.{source.sourceName}"
            elif isinstance(value, Sdf.AssetPath):
                assert value.resolvedPath
                value = value.path
            inputs[f"{shader.GetPrim().GetName()}.{entry.GetBaseName()}"] = plain(value)
    return inputs


def main(paths: list[str]) -> None:
    from pxr import Usd, UsdGeom, UsdShade

    for path in paths:
        stage = Usd.Stage.Open(path)
        prims = list(stage.Traverse())
        found = {
            "default": stage.GetDefaultPrim().GetName(),
            "up": str(UsdGeom.GetStageUpAxis(stage)),
            "metres": UsdGeom.GetStageMetersPerUnit(stage),
            "notes": list(stage.GetRootLayer().customLayerData.get("notes", [])),
            "meshes": [read_mesh(prim) for prim in prims if prim.IsA(UsdGeom.Mesh)],
            "materials": {
                prim.GetName(): read_material(prim) for prim in prims if prim.IsA(UsdShade.Material)
            },
        }
        Path(path).with_suffix(".json").write_text(json.dumps(found), encoding="utf-8")
        print(json.dumps({"problems": find_problems(path, stage)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
