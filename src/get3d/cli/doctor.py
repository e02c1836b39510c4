"""`get3d doctor`: checks of the installation and the machine."""

import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

import torch
import tyro

from get3d import __version__
from get3d.apps import load
from get3d.cli.device import pick_device
from get3d.core.jit import has_triton
from get3d.core.presets import preset_names
from get3d.render import rasterize
from get3d.render.numba_kernels import draw_faces
from get3d.render.rasterizer import Backend

_PACKAGES = ("torch", "numpy", "numba", "trimesh", "safetensors", "tyro", "pillow")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        label: Name of the check.
        text: Result, with the suggested fix if there is a problem.
        is_well: False if commands will fail because of it.
    """

    label: str
    text: str
    is_well: bool = True


def doctor() -> list[Finding]:
    """Check versions, device, rasterisers, compiled code, the bundled model and presets."""
    return [
        Finding("get3d", f"{__version__} on Python {platform.python_version()}"),
        Finding("machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
        _check_packages(),
        _check_device(),
        _check_waiting(),
        *(_check_backend(name) for name in get_args(Backend)),
        _check_compiled_code(),
        _attempt("bundled model", lambda: load().info.name),
        Finding("presets", ", ".join(preset_names()) or "none", is_well=bool(preset_names())),
        _check_tensorboard(),
        _check_hub(),
    ]


def run(args: list[str]) -> int:
    """Print the report.

    Args:
        args: Command line behind `get3d doctor`.

    Returns:
        Exit code: 0 if everything needed works, else 1.
    """
    findings = tyro.cli(doctor, args=args, prog="get3d doctor")
    for finding in findings:
        mark = "ok  " if finding.is_well else "FAIL"
        print(f"{mark} {finding.label:<14} {finding.text}")
    failures = [finding.label for finding in findings if not finding.is_well]
    print(f"does not work: {', '.join(failures)}" if failures else "everything needed works")
    return 1 if failures else 0


def _check_packages() -> Finding:
    """List the versions of the required packages."""
    found = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, number in found.items() if not number]
    if missing:
        return Finding("packages", f"missing {', '.join(missing)}: pip install get3d", False)
    return Finding("packages", ", ".join(f"{name} {number}" for name, number in found.items()))


def _check_device() -> Finding:
    """Describe the device that `--device auto` picks."""
    device = pick_device("auto")
    threads = f"{torch.get_num_threads()} threads"
    if device.type == "cuda":
        memory_gb = torch.cuda.get_device_properties(device).total_memory / 2**30
        name = torch.cuda.get_device_name(device)
        return Finding("device", f"cuda: {name}, {memory_gb:.0f} GiB; cpu: {threads}")
    why = "this PyTorch is built for the CPU" if not torch.version.cuda else "PyTorch finds no GPU"
    return Finding("device", f"cpu: {threads} ({why})")


def _check_waiting() -> Finding:
    """Report how OpenMP's threads wait; spinning ones are slow beside other programs."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")
    found = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
    is_passive = os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
    waiting = "sleep" if is_passive else "may spin: slow beside other programs"
    fix = "" if is_passive else "; set OMP_WAIT_POLICY=PASSIVE"
    return Finding("idle threads", f"{waiting} ({found or 'nothing is set'}){fix}")


def _check_backend(name: Backend) -> Finding:
    """Rasterise one triangle with a backend."""
    label = f"rasteriser {name}"
    if name == "triton" and not torch.cuda.is_available():
        return Finding(label, "not needed: it draws on CUDA GPUs")
    if name == "triton" and not has_triton():
        return Finding(label, "does not work, so GPUs draw with torch; it needs a C compiler")
    device = "cuda" if name == "triton" else "cpu"
    corners = torch.tensor([[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]], device=device)
    faces = torch.tensor([[0, 1, 2]], device=device)
    return _attempt(
        label,
        lambda: "works" if (rasterize(corners, faces, 4, backend=name) == 0).all() else None,
    )


def _check_compiled_code() -> Finding:
    """Check that numba caches compiled code on disk; otherwise every start compiles for seconds."""
    folder = getattr(getattr(draw_faces, "stats", None), "cache_path", None)
    if folder:
        return Finding("compiled code", f"kept in {folder}")
    return Finding(
        "compiled code",
        "not kept, so every start compiles for some seconds; set NUMBA_CACHE_DIR to a folder that "
        "you may write to",
    )


def _check_tensorboard() -> Finding:
    """Check the optional package that training logs to."""
    if importlib.util.find_spec("tensorboard"):
        return Finding("tensorboard", f"{_version('tensorboard')}")
    return Finding("tensorboard", "not installed; training logs go to a CSV file only")


def _check_hub() -> Finding:
    """Check the optional client of the Hugging Face Hub."""
    if importlib.util.find_spec("huggingface_hub"):
        return Finding("model hub", f"huggingface_hub {_version('huggingface_hub')}")
    return Finding("model hub", "hf:// names and get3d push need: pip install huggingface_hub")


def _attempt(label: str, check: Callable[[], str | None]) -> Finding:
    """Run one check; an exception of any kind becomes a finding."""
    try:
        text = check()
    except Exception as error:
        return Finding(label, f"{type(error).__name__}: {' '.join(str(error).split())}", False)
    return Finding(label, text or "gives wrong results", text is not None)


def _version(package: str) -> str:
    """Look up the installed version of a package; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
