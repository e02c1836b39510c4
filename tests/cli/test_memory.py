"""Messages of training that runs out of memory."""

from dataclasses import replace

import pytest
import torch

from get3d.cli.errors import OutOfMemoryError, describe
from get3d.cli.memory import PRESETS, explain_out_of_memory, memory_bytes, what_fits
from get3d.config import load_config
from get3d.core import is_out_of_memory
from get3d.core.presets import preset_names

CPU = torch.device("cpu")


def test_every_preset_is_known_largest_first():
    assert {preset.name for preset in PRESETS} == set(preset_names())
    for preset in PRESETS:
        assert load_config(preset.name).discriminator.image_size == preset.image_size
    peaks = [preset.peak_gib for preset in PRESETS]
    assert peaks == sorted(peaks, reverse=True)


@pytest.mark.parametrize(
    ("name", "gib", "text"),
    [
        ("small-128", 8, "cuda:0 (8.0 GiB): tiny-64 needs about 0.8 GiB, or lower schedule.batch"),
        ("published-1024", 8, "cuda:0 (8.0 GiB): small-128 needs about 3.6 GiB, or lower"),
        ("published-1024", 2, "cuda:0 (2.0 GiB): tiny-64 needs about 0.8 GiB, or lower"),
        ("published-1024", 0.5, "cuda:0 (0.5 GiB): lower schedule.batch_size (now 32), or raise"),
        ("tiny-64", 8, "cuda:0 (8.0 GiB): lower schedule.batch_size (now 8), or raise"),
        ("small-128", None, "the memory of cuda:0: tiny-64 needs about 0.8 GiB, or"),
    ],
)
def test_the_largest_smaller_preset_that_fits_is_named(name, gib, text):
    num_bytes = None if gib is None else int(gib * 2**30)
    line = what_fits(name, load_config(name), "cuda:0", num_bytes)
    assert line.startswith(f"{name} does not fit the memory of ")
    assert text in line


def test_batches_below_one_image_are_not_suggested():
    config = load_config("tiny-64")
    one = replace(config.schedule, batch_size=4, grad_accumulation_steps=4)
    line = what_fits("x", replace(config, schedule=one), "cpu", None)
    assert line.endswith(": lower schedule.batch_size (now 4)")
    one = replace(config.schedule, batch_size=1, grad_accumulation_steps=1)
    line = what_fits("x", replace(config, schedule=one), "cpu", None)
    assert line.endswith(": lower discriminator.image_size and generator.grid_resolution")


def test_other_errors_are_not_changed(tmp_path):
    for error in (RuntimeError("shapes do not match"), ValueError("out of memory")):
        with (
            pytest.raises(type(error), match=str(error)),
            explain_out_of_memory("tiny-64", load_config("tiny-64"), CPU, tmp_path),
        ):
            raise error


def test_without_a_checkpoint_none_is_named(tmp_path):
    with (
        pytest.raises(OutOfMemoryError) as caught,
        explain_out_of_memory("tiny-64", load_config("tiny-64"), CPU, tmp_path),
    ):
        raise MemoryError
    text = describe(caught.value)
    assert text.startswith("tiny-64 does not fit the memory of cpu")
    assert "checkpoint" not in text


def test_an_error_while_another_is_handled():
    def fail(error):
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except torch.OutOfMemoryError:
            raise error  # noqa: B904 - the context is what is tested

    for error, expected in (
        (RuntimeError("capture failed"), True),
        (ValueError("too long"), False),
    ):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert is_out_of_memory(caught.value) is expected


def test_memory_of_this_machine():
    assert memory_bytes(CPU) > 1 << 28


def test_smaller_feature_images_are_suggested():
    config = load_config("tiny-64")
    with_features = replace(config.discriminator, features="imagenet", feature_image_size=128)
    line = what_fits("mine", replace(config, discriminator=with_features), "cpu", 1 << 30)
    assert line.endswith("or lower discriminator.feature_image_size (now 128)")
    assert "feature_image_size" not in what_fits("mine", config, "cpu", 1 << 30)
