"""Benchmarks explain themselves without the packages of the dev extra."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
DEV_ONLY = ("scipy", "skimage", "matplotlib", "tensorboard", "embreex", "beartype")
CODE = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({DEV_ONLY}))
for path in sys.argv[1:]:
    sys.argv = [path, "--help"]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as request:
        assert request.code in (0, None), path
"""


@pytest.mark.slow
def test_help_needs_no_dev_extras() -> None:
    scripts = [str(path) for path in sorted(BENCHMARKS.glob("*.py")) if path.stem != "machine"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *scripts],
        capture_output=True,
        text=True,
        check=False,
        cwd=BENCHMARKS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage:") == len(scripts)
