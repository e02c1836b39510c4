"""The step against a naive version of it, and the same step however a batch is divided."""

import math
import multiprocessing
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import softplus

from get3d.core import Images, Styles
from get3d.geometry import camera_angles, roughness
from get3d.training import Trainer
from get3d.training.chunks import batch_chunks
from get3d.training.randomness import Purpose
from tests.training.test_trainer import weights
from tests.training.test_trainer_options import changed


def naive_steps(trainer, num):
    """A naive `Trainer.step`: undivided batches, plain autograd."""
    config, g, d = trainer.config, trainer.generator, trainer.discriminator
    loss, opt = config.loss, config.optimizer
    ratio = loss.r1_interval / (loss.r1_interval + 1)
    g_adam = torch.optim.Adam(g.parameters(), opt.generator_lr, opt.betas, opt.eps)
    betas = (opt.betas[0] ** ratio, opt.betas[1] ** ratio)
    d_adam = torch.optim.Adam(d.parameters(), opt.discriminator_lr * ratio, betas, opt.eps)
    for step in range(num):
        trainer.step_index = step
        (chunk,) = batch_chunks(step, batch_size=8, views_per_shape=1, num_chunks=1)[0]
        fake, s = (made := trainer._generate(Purpose.GENERATOR, chunk)).batch, made.surface
        logits = d(fake.images, fake.condition.angles)
        real = trainer._to_batch(trainer._read(chunk))
        apart = loss.adversarial == "relativistic"  # losses of pairs, not of each by itself
        true = d(real.images, real.condition.angles) if apart else SimpleNamespace(rgb=0, mask=0)
        total = softplus(true.rgb - logits.rgb).mean()
        total = total + loss.mask_weight * softplus(true.mask - logits.mask).mean()
        total = total + loss.sign_change_weight * s.sign_change_loss.mean()
        total = total + loss.roughness_weight * roughness(s.meshes).mean()
        total = total + loss.flexi_deviation_weight * s.deviation_loss.mean()
        total = total + loss.flexi_magnitude_weight * s.magnitude_loss.mean()
        g_adam.zero_grad()
        total.backward()
        g.update_w_avg(Styles(made.styles.geo[:, :1], made.styles.tex[:, :1]))
        g_adam.step()
        fake_logits = d(Images(fake.images.rgb.detach(), fake.images.mask.detach()),
                        fake.condition.angles)  # fmt: skip
        d_adam.zero_grad()
        true = d(real.images, real.condition.angles)
        pairs = ((true.rgb, fake_logits.rgb), (true.mask, fake_logits.mask))
        sum(
            (softplus(b - a) if apart else softplus(-a) + softplus(b)).mean() for a, b in pairs
        ).backward()
        d_adam.step()
        if step % loss.r1_interval == 0:
            d_adam.zero_grad()
            for batch in (real, fake) if loss.r2 else (real,):
                leaf = [each.detach().requires_grad_() for each in
                        (batch.images.rgb, batch.images.mask)]  # fmt: skip
                out = d(Images(*leaf), batch.condition.angles.detach())
                grads = torch.autograd.grad((out.rgb + out.mask).sum(), leaf, create_graph=True)
                rgb, mask = (each.square().sum((1, 2, 3)).mean() for each in grads)
                penalty = (loss.r1_gamma * rgb + loss.r1_gamma_mask * mask) / 2
                (penalty * loss.r1_interval).backward()
            d_adam.step()


@pytest.fixture
def config(config):
    """A config in which every weight affects a step; epsilon damps rounding in Adam."""
    return changed(
        config,
        loss__r1_gamma=3.0,
        loss__r1_gamma_mask=0.7,
        loss__r1_interval=2,
        loss__sign_change_weight=0.3,
        loss__mask_weight=1.7,
        loss__roughness_weight=0.4,
        loss__flexi_deviation_weight=20.0,
        loss__flexi_magnitude_weight=0.1,
        optimizer__betas=(0.1, 0.9),
        optimizer__eps=1e-3,
        optimizer__generator_lr=0.003,
        schedule__batch_size=8,
        schedule__total_images=400,
        schedule__reuse_fakes=True,
    )


def assert_same(one, other, atol=1e-5):
    for name in ("generator", "discriminator"):
        a, b = weights(getattr(one, name)), weights(getattr(other, name))
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("iso_surface", "losses", "accumulation_steps"),
    [
        ("dmtet", {}, [2]),
        ("flexicubes", {}, [1, 2]),
        ("dmtet", {"loss__adversarial": "relativistic", "loss__r2": True}, [2]),
    ],
)
def test_a_step_is_the_naive_one(config, images, iso_surface, losses, accumulation_steps):
    """Three steps, of which the first and the last penalise gradients."""
    config = changed(config, generator__iso_surface=iso_surface, **losses)
    naive = Trainer(config, images)
    before = weights(naive.generator)
    naive_steps(naive, 3)
    assert not torch.allclose(weights(naive.generator), before)
    for num in accumulation_steps:
        trainer = Trainer(changed(config, schedule__grad_accumulation_steps=num), images)
        for _ in range(3):
            trainer.step()
        assert_same(trainer, naive)


def test_the_comparison_detects_changes(config, images):
    """Every option of a step changes the weights by more than the tolerance."""

    def trained(**change):
        trainer = Trainer(changed(config, generator__iso_surface="flexicubes", **change), images)
        for _ in range(2):
            trainer.step()
        return trainer

    reference = trained()
    for change in (
        {"loss__r1_gamma": 6.0},
        {"loss__r1_gamma_mask": 1.4},
        {"optimizer__betas": (0.1, 0.95)},
        {"loss__flexi_deviation_weight": 0.1, "loss__flexi_magnitude_weight": 20.0},
        {"loss__mask_weight": 1.0},
        {"loss__adversarial": "relativistic"},
        {"loss__r2": True},
        {"loss__sign_change_weight": 0.6},
    ):
        other = trained(**change)
        with pytest.raises(AssertionError, match="not close"):
            assert_same(reference, other)


def run_steps(trainer, num=5):
    return [{name: float(value) for name, value in trainer.step().items()} for _ in range(num)]


def assert_same_scalars(found, expected):
    """Compare tightly for two steps; later, rounding may change which edges are crossed."""
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        rel, absolute = (1e-4, 1e-5) if step < 2 else (5e-2, 5e-3)
        assert one == pytest.approx(other, rel=rel, abs=absolute)


@pytest.mark.parametrize(("views", "reuse_fakes"), [(1, True), (2, False)])
def test_accumulation_changes_nothing(config, images, views, reuse_fakes):
    """Including groups of `minibatch_stddev`: four chunks of a batch against one."""
    config = changed(
        config,
        discriminator__mbstd_group_size=2,
        schedule__batch_size=8 * views,
        schedule__views_per_shape=views,
        schedule__reuse_fakes=reuse_fakes,
    )
    reference, parts = (
        Trainer(changed(config, schedule__grad_accumulation_steps=num), images) for num in (1, 4)
    )
    assert_same_scalars(run_steps(parts), run_steps(reference))
    assert_same(reference, parts, atol=1e-3)
    torch.testing.assert_close(
        weights(reference.average), weights(parts.average), rtol=0, atol=1e-3
    )


def train_one_of_two(rank, folder, config, images):
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    trainer = Trainer(config, images)
    scalars = run_steps(trainer)
    torch.save({"scalars": scalars, "state": trainer.state_dict()}, folder / f"{rank}.pt")
    if rank == 1:  # one process alone has a weight that is not finite: both stop
        with torch.no_grad():
            next(trainer.generator.parameters()).fill_(float("nan"))
    try:
        trainer.step()
    except ArithmeticError as error:
        (folder / f"{rank}.txt").write_text(str(error))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_one(tmp_path, config, images):
    held = replace(images, read=HeldImages(images.read(torch.arange(10))))
    context = multiprocessing.get_context("spawn")
    second = context.Process(target=train_one_of_two, args=(1, tmp_path, config, held))
    second.start()
    train_one_of_two(0, tmp_path, config, held)
    second.join()
    assert second.exitcode == 0
    reference = Trainer(config, images)
    expected = run_steps(reference)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert_same_scalars(found["scalars"], expected)
        trainer = Trainer(config, images)
        trainer.load_state_dict(found["state"])
        assert_same(trainer, reference, atol=1e-3)
        assert "generator loss is" in (tmp_path / f"{rank}.txt").read_text()


class HeldImages:
    """Images in memory that can be sent to another process."""

    def __init__(self, rgba_u8):
        self.rgba_u8 = rgba_u8

    def __call__(self, index):
        return self.rgba_u8[index]


class TestChunks:
    def test_they_are_the_batch(self):
        chunks = batch_chunks(3, batch_size=24, views_per_shape=2, num_chunks=2, num_replicas=3)
        assert [len(each) for each in chunks] == [2, 2, 2]
        shapes = torch.cat([chunk.shapes for own in chunks for chunk in own])
        images = torch.cat([chunk.images for own in chunks for chunk in own])
        assert sorted(shapes.tolist()) == list(range(36, 48))
        assert sorted(images.tolist()) == list(range(72, 96))

    def test_views_follow_each_other(self):
        ((chunk,),) = batch_chunks(0, batch_size=6, views_per_shape=3, num_chunks=1)
        assert chunk.images.tolist() == [0, 1, 2, 3, 4, 5]
        assert chunk.shapes.tolist() == [0, 1]

    def test_what_does_not_divide(self, config, images):
        with pytest.raises(ValueError, match="4 images with views_per_shape 1 cannot be divided"):
            batch_chunks(0, batch_size=4, views_per_shape=1, num_chunks=1, num_replicas=3)


def test_angles_are_those_of_the_cameras(config, images):
    trainer = Trainer(config, images)
    (chunk,) = trainer._chunks(0)
    batch = trainer._generate(Purpose.GENERATOR, chunk).batch
    low, high = images.distribution.polar_deg
    polar_deg = batch.condition.angles[:, 1] * 180 / math.pi
    assert ((polar_deg >= low - 1e-3) & (polar_deg <= high + 1e-3)).all()
    cameras = trainer.samplers.cameras(1, torch.arange(4))
    assert torch.equal(
        camera_angles(cameras)[2:], camera_angles(trainer.samplers.cameras(1, torch.arange(2, 4)))
    )
