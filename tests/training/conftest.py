"""A run small enough for tests: 16 pixels, a grid of a few hundred vertices."""

import math

import pytest
import torch

from get3d.geometry import CameraDistribution
from get3d.models import DiscriminatorConfig, GeneratorConfig, TrainingRenderConfig
from get3d.training import (
    LossConfig,
    OptimizerConfig,
    Run,
    RunConfig,
    ScheduleConfig,
    Trainer,
    TrainingImages,
)
from tests.tiny import TINY


def start_run(config, images, folder, **options):
    """A run of a fresh trainer."""
    trainer = Trainer(config, images)
    return Run(trainer, folder, config=config, schedule=config.schedule, **options)


def tiny_config() -> RunConfig:
    """Tiny networks that start as a sphere; two steps between R1 penalties."""
    return RunConfig(
        generator=GeneratorConfig(
            **(TINY | {"grid_resolution": 8}), sdf_base="sphere", sdf_base_radius=0.35
        ),
        discriminator=DiscriminatorConfig(image_size=16, channel_base=64, channel_max=8),
        rendering=TrainingRenderConfig(mask_supersample=2, composite="antialiased"),
        loss=LossConfig(r1_gamma=1.0, r1_gamma_mask=1.0, r1_interval=2),
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(
            total_images=24,
            batch_size=4,
            seed=3,
            log_every_images=4,
            sample_every_images=12,
            checkpoint_every_images=8,
            keep_checkpoints=10,
        ),
    )


def disc_images() -> TrainingImages:
    """Ten red discs of different sizes on black."""
    centre = (torch.arange(16) - 7.5).square()
    distance = (centre[:, None] + centre[None, :]).sqrt()
    alpha = torch.stack([(distance < 3.0 + 0.4 * index) for index in range(10)]).float()
    zeros = torch.zeros_like(alpha)
    rgba = torch.stack([alpha * 0.8, zeros, zeros, alpha], dim=1)
    angles = torch.stack([torch.linspace(0, 6, 10), torch.full((10,), math.pi / 3)], dim=1)
    return TrainingImages.in_memory(
        (rgba * 255).to(torch.uint8), angles, CameraDistribution(radius=1.2, fovy_deg=49.13)
    )


@pytest.fixture
def config() -> RunConfig:
    return tiny_config()


@pytest.fixture
def images() -> TrainingImages:
    return disc_images()
