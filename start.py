"""Set up get3d and run it, from nothing but Python 3.11 or newer and pip.

    python3 start.py demo [options of `get3d generate`]    # makes shapes in out/demo, anew
    python3 start.py test [options of pytest]              # runs the tests

Both make `.venv` beside this file, install what they need there (pinned by constraints.txt), and
leave it alone for as long as pyproject.toml and constraints.txt stay the same.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
EXTRAS = {"demo": "", "test": "[dev]"}
MAKE = ["--num", "4", "--floaters", "0.01", "--out", "out/demo", "--overwrite"]
COMMANDS = {
    "demo": ["-m", "get3d", "generate", *MAKE],
    "test": ["-m", "pytest", "-n", "auto", "--dist", "loadfile"],
}


def main(args: list[str]) -> int:
    """Install what the task needs, run it, and return its exit code."""
    if sys.version_info < (3, 11):
        print(f"start.py: get3d needs Python 3.11 or newer; this is {sys.version.split()[0]}")
        return 1
    if not args or args[0] not in COMMANDS:
        print(__doc__)
        return 0 if args in (["-h"], ["--help"]) else 2
    try:
        install(EXTRAS[args[0]])
    except subprocess.CalledProcessError as error:
        print(f"start.py: installing failed (exit code {error.returncode}); the reason is above")
        return 1
    return subprocess.call([str(PYTHON), *COMMANDS[args[0]], *args[1:]], cwd=ROOT)


def install(extras: str) -> None:
    """Install the package with its extras into the virtual environment, unless that was done."""
    recipe = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    digest = hashlib.sha256(recipe).hexdigest()
    stamps = [VENV / f".installed{part}" for part in {extras, "[dev]"}]
    if any(stamp.exists() and stamp.read_text() == digest for stamp in stamps):
        return
    pip = [str(PYTHON), "-m", "pip"]
    if not PYTHON.exists():
        # Debian keeps ensurepip in a package of its own: then the outer pip works from outside.
        venv.create(VENV, with_pip=importlib.util.find_spec("ensurepip") is not None)
    if subprocess.call([*pip, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    print(f"installing get3d{extras} into {VENV} (the first time takes some minutes)", flush=True)
    target = ["--editable", f".{extras}"]
    subprocess.check_call([*pip, "install", "--quiet", "-c", "constraints.txt", *target], cwd=ROOT)
    (VENV / f".installed{extras}").write_text(digest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
