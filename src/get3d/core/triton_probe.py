"""The smallest CUDA kernel, to try whether Triton works. Imported only where there is Triton."""

import torch
import triton
import triton.language as tl


@triton.jit
def _write_one(out):
    tl.store(out, 1.0)


def run_kernel() -> None:
    """Compile and run the kernel; raises whatever Triton does if it cannot."""
    out = torch.zeros(1, device="cuda")
    _write_one[(1,)](out)
    assert out.item() == 1
