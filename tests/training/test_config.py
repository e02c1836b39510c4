from dataclasses import replace

import pytest

from get3d.core import ConfigError, from_dict, to_dict
from get3d.models import TrainingRenderConfig
from get3d.training import LossConfig, RunConfig, ScheduleConfig


def with_schedule(config: RunConfig, **changes: object) -> RunConfig:
    return replace(config, schedule=replace(config.schedule, **changes))


def test_image_size_by_the_images_seen(config: RunConfig) -> None:
    larger = replace(config, discriminator=replace(config.discriminator, image_size=64))
    coarse = with_schedule(larger, coarse_images=(100, 20))
    sizes = [coarse.image_size(seen) for seen in (0, 99, 100, 119, 120, 10**9)]
    assert sizes == [16, 16, 32, 32, 64, 64]
    assert larger.image_size(0) == 64


def test_lists_of_coarse_images_come_from_yaml(config: RunConfig) -> None:
    plain = to_dict(config)
    plain["schedule"]["coarse_images"] = [20]
    assert from_dict(RunConfig, plain) == with_schedule(config, coarse_images=(20,))
    for wrong in (20, "20", [1.5]):
        plain["schedule"]["coarse_images"] = wrong
        with pytest.raises(ConfigError, match=r"schedule\.coarse_images"):
            from_dict(RunConfig, plain)


@pytest.mark.parametrize("wrong", [(0,), (-1,), (5, 0)])
def test_coarse_images_must_be_positive(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="coarse_images must be at least 1 each"):
        ScheduleConfig(coarse_images=wrong)


def test_images_are_not_halved_below_8_pixels(config: RunConfig) -> None:
    assert with_schedule(config, coarse_images=(4,)).image_size(0) == 8
    with pytest.raises(
        ConfigError, match=r"coarse_images must have 1 values or fewer, as 16 pixels.*got 2"
    ):
        with_schedule(config, coarse_images=(4, 4))


def test_views_per_shape_must_divide_what_is_generated_at_once() -> None:
    assert (
        ScheduleConfig(batch_size=8, grad_accumulation_steps=2, views_per_shape=4).views_per_shape
        == 4
    )
    with pytest.raises(ConfigError, match=r"views_per_shape must divide .* \(4\), got 8"):
        ScheduleConfig(batch_size=8, grad_accumulation_steps=2, views_per_shape=8)
    with pytest.raises(ConfigError, match="views_per_shape must be at least 1, got 0"):
        ScheduleConfig(views_per_shape=0)


def test_weights_must_not_be_negative() -> None:
    with pytest.raises(ConfigError, match="feature_weight must not be negative, got -1"):
        LossConfig(feature_weight=-1.0)


def test_defaults_are_as_published() -> None:
    """Runs from before these options go on as they were."""
    config = RunConfig()
    assert config.discriminator.features == "none"
    assert config.rendering.light == "none"
    assert config.generator.sdf_base_limit == 0
    assert config.schedule.views_per_shape == 1
    assert config.schedule.coarse_images == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_losses_are_finite(value):
    with pytest.raises(ConfigError, match="roughness_weight must be a finite number"):
        LossConfig(roughness_weight=value)


@pytest.mark.parametrize("seed", [10**20, -(10**20)])
def test_seeds_have_64_bits(seed):
    with pytest.raises(ConfigError, match="seed must be a whole number of 64 bits"):
        ScheduleConfig(seed=seed)


@pytest.mark.parametrize("steps", [-1, 101, 10**20])
def test_normals_are_not_smoothed_for_ever(steps):
    with pytest.raises(ConfigError, match="normal_smoothing must be from 0 to 100"):
        TrainingRenderConfig(normal_smoothing=steps)


def test_configs_with_the_names_of_earlier_versions_are_read() -> None:
    old = {"imaging": {"light": "learned"}, "schedule": {"batch_size": 8, "accumulate": 2}}
    config = from_dict(RunConfig, old)
    assert config.rendering.light == "learned"
    assert config.schedule.grad_accumulation_steps == 2
