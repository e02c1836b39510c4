"""Settings before anything is imported; what doctest may import."""

import os
from importlib.util import find_spec

import tests.typechecker  # noqa: F401 - for --jaxtyping-packages, which imports `tests` alone

# One thread for each of pytest's processes: tensors of tests are too small for more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Triton comes with CUDA builds of PyTorch only.
collect_ignore_glob = (
    []
    if find_spec("triton")
    else ["src/get3d/*/triton_*.py", "src/get3d/models/ops/filter_kernels.py"]
)
