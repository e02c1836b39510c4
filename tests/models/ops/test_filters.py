import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from get3d.models.ops import blur, downsample, upsample


def image(*shape: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def test_constants_stay_away_from_the_border() -> None:
    ones = torch.ones(1, 2, 8, 8, dtype=torch.float64)
    for result in (blur(ones, padding=2), upsample(ones), downsample(ones)):
        torch.testing.assert_close(
            result[..., 2:-2, 2:-2], torch.ones_like(result)[..., 2:-2, 2:-2]
        )


def test_sizes() -> None:
    x = image(2, 3, 8, 6)
    assert blur(x, padding=2).shape == (2, 3, 9, 7)
    assert blur(x, padding=1).shape == (2, 3, 7, 5)
    assert upsample(x).shape == (2, 3, 16, 12)
    assert downsample(x).shape == (2, 3, 4, 3)


def test_upsampling_fills_in_zeros_and_filters() -> None:
    x = image(1, 1, 4, 4)
    spread = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    spread[..., ::2, ::2] = x
    padded = torch.nn.functional.pad(spread, (2, 1, 2, 1))
    torch.testing.assert_close(upsample(x), blur(padded, padding=0, gain=4.0))


def test_a_shifted_impulse_is_not_flipped() -> None:
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    x[0, 0, 1, 2] = 1
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 4
    expected = torch.zeros(8, 8, dtype=torch.float64)
    expected[1:5, 3:7] = torch.outer(taps, taps)
    torch.testing.assert_close(upsample(x)[0, 0], expected)


@pytest.mark.parametrize(
    "operation", [upsample, downsample, lambda x: blur(x, padding=1), lambda x: blur(x, padding=2)]
)
def test_first_and_second_derivatives(operation) -> None:  # type: ignore[no-untyped-def]
    x = image(1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(operation, x)
    assert torch.autograd.gradgradcheck(operation, x)


_COMPARE = """
import torch
from get3d.models.ops.filter_kernels import resample
from get3d.models.ops import blur, downsample, upsample

device = "DEVICE"
for layout in (torch.contiguous_format, torch.channels_last):
    cpu = torch.randn(2, 5, 12, 6).to(memory_format=layout)
    x = cpu.to(device)
    for padding in range(4):
        got = resample(x, up=1, down=1, padding=padding, gain=3.0)
        torch.testing.assert_close(got.cpu(), blur(cpu, padding=padding, gain=3.0))
    got = resample(x, up=1, down=2, padding=1, gain=1.0)
    torch.testing.assert_close(got.cpu(), downsample(cpu))
    torch.testing.assert_close(resample(x, up=2, down=1, padding=2, gain=4.0).cpu(), upsample(cpu))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_cuda_kernel_is_the_same_filter() -> None:
    """In a process of its own: Triton's interpreter is chosen when Triton is imported."""
    code, environment = _COMPARE.replace("DEVICE", "cpu"), os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.gpu
def test_the_cuda_kernel_is_the_same_filter_on_a_gpu() -> None:
    exec(_COMPARE.replace("DEVICE", "cuda"))


def test_the_tests_type_checker_leaves_kernels_alone() -> None:
    """Triton looks up the names in a kernel in the globals of the function it is given."""
    pytest.importorskip("triton")
    from get3d.core import triton_probe
    from get3d.models.ops import filter_kernels

    for kernel in (triton_probe._write_one, filter_kernels._resample_kernel):
        assert "tl" in kernel.fn.__globals__
