"""Check that tests notice wrong values: each mutation changes one place of a copy of the package.

A mutation that no test notices is a gap in the tests. Run it after changing the tests of training,
of light-field features or of the GLB writer:

    python scripts/mutations.py
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutation:
    """One wrong edit.

    Attributes:
        name: What becomes wrong.
        file: Below src/get3d.
        old: Text that stands there once.
        new: Text to take its place.
        tests: That must notice.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


STEPS, GLB = "tests/training/test_steps.py", "tests/export/test_glb.py"
MUTATIONS = (
    Mutation(
        "R1 without its half",
        "training/steps.py",
        "terms.rgb * (config.r1_gamma / 2)",
        "terms.rgb * config.r1_gamma",
        STEPS,
    ),
    Mutation(
        "R1 without its interval",
        "training/steps.py",
        "config.r1_interval * scale * weight",
        "scale * weight",
        STEPS,
    ),
    Mutation(
        "beta2 not rescaled for lazy regularisation",
        "training/trainer.py",
        "optimizer.betas[1] ** scale",
        "optimizer.betas[1]",
        STEPS,
    ),
    Mutation(
        "weights of the FlexiCubes regularisers swapped",
        "training/steps.py",
        "config.flexi_deviation_weight * deviation\n"
        "        + config.flexi_magnitude_weight * magnitude",
        "config.flexi_magnitude_weight * deviation\n"
        "        + config.flexi_deviation_weight * magnitude",
        STEPS,
    ),
    Mutation(
        "generator's loss not divided by the accumulation steps",
        "training/trainer.py",
        "                self.config.loss,\n                weight=1 / len(chunks),",
        "                self.config.loss,\n                weight=1.0,",
        STEPS,
    ),
    Mutation(
        "eccentricity with xy for 2 xy",
        "metrics/light_field_moments.py",
        "np.hypot(xx - yy, 2 * xy)",
        "np.hypot(xx - yy, xy)",
        "tests/metrics/test_light_field_moments.py",
    ),
    Mutation(
        "16-bit indices for one vertex too many",
        "export/glb.py",
        "num_verts <= 0xFFFF",
        "num_verts <= 0x10000",
        GLB,
    ),
    Mutation(
        "wrap modes swapped",
        "export/glb.py",
        "_REPEAT if part.is_repeating else _CLAMP_TO_EDGE",
        "_CLAMP_TO_EDGE if part.is_repeating else _REPEAT",
        GLB,
    ),
    Mutation(
        "activations clamped without the gain",
        "models/layers.py",
        "activate(x, limit=CLAMP * gain)",
        "activate(x, limit=CLAMP)",
        "tests/models/test_layers.py",
    ),
)


def is_noticed(mutation: Mutation) -> bool:
    """Run the tests of a mutation on a copy of the package that has it.

    Args:
        mutation: The edit.

    Raises:
        ValueError: If the text to replace does not stand there once.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "get3d" / mutation.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            raise ValueError(f"{mutation.file} does not hold {mutation.old!r} once; renew the list")
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        result = subprocess.run(
            [*command, *mutation.tests.split()],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(source)},
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode not in (0, 1):
        raise RuntimeError(f"pytest failed to run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == 1


def main() -> int:
    """Try every mutation; returns 1 if one goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutations whose name contains this")
    args = parser.parse_args()
    unnoticed = 0
    for mutation in MUTATIONS:
        if args.only in mutation.name:
            found = is_noticed(mutation)
            unnoticed += not found
            print(f"{'noticed' if found else 'NOT NOTICED'}: {mutation.name}", flush=True)
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
