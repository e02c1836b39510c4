"""What doctest may import: Triton comes with CUDA builds of PyTorch only."""

from importlib.util import find_spec

collect_ignore_glob = (
    []
    if find_spec("triton")
    else ["src/get3d/*/triton_*.py", "src/get3d/models/ops/filter_kernels.py"]
)
