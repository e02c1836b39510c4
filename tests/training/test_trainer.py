import copy
import math
from dataclasses import replace

import pytest
import torch

from get3d.geometry import orbit_cameras
from get3d.training import NonFiniteError, Samplers, Trainer
from get3d.training.samplers import normal_latents


def weights(module):
    return torch.cat(
        [tensor.detach().double().flatten() for tensor in module.state_dict().values()]
    )


def test_a_step_moves_both_networks_and_the_average(config, images):
    trainer = Trainer(config, images)
    before = [weights(m) for m in (trainer.generator, trainer.discriminator, trainer.average)]
    scalars = trainer.step()
    after = [weights(m) for m in (trainer.generator, trainer.discriminator, trainer.average)]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(torch.isfinite(value) and not value.requires_grad for value in scalars.values())
    assert trainer.seen_images == 4
    assert {"generator/rgb_loss", "discriminator/mask_loss", "discriminator/rgb_r1"} <= set(scalars)


def test_every_parameter_gets_a_gradient(config, images):
    trainer = Trainer(config, images)
    trainer.step()
    trainer.step()
    for network in (trainer.generator, trainer.discriminator):
        idle = [name for name, p in network.named_parameters() if p.grad is None]
        assert not idle


class TestFlexiCubes:
    @pytest.fixture
    def config(self, config):
        return replace(config, generator=replace(config.generator, iso_surface="flexicubes"))

    def test_every_parameter_gets_a_gradient(self, config, images):
        trainer = Trainer(config, images)
        scalars = trainer.step()
        assert all(p.grad is not None for p in trainer.generator.parameters())
        assert scalars["generator/flexi_deviation_loss"] > 0
        assert scalars["generator/flexi_magnitude_loss"] > 0

    def test_resumed_state_continues_bit_by_bit(self, config, images):
        reference, resumed = Trainer(config, images), Trainer(config, images)
        reference.step()
        resumed.load_state_dict(copy.deepcopy(reference.state_dict()))
        for trainer in (reference, resumed):
            trainer.step()
        assert torch.equal(weights(reference.generator), weights(resumed.generator))

    @pytest.mark.parametrize("name", ["flexi_deviation_weight", "flexi_magnitude_weight"])
    def test_regularisers_have_weights(self, config, images, name):
        gradients = []
        for value in (0.0, 1000.0):
            trainer = Trainer(replace(config, loss=replace(config.loss, **{name: value})), images)
            trainer.step()
            head = trainer.generator.network.geometry.weights
            gradients.append(torch.cat([p.grad.flatten() for p in head.parameters()]).norm())
        assert gradients[1] > 10 * gradients[0]


class TestSubdivisions:
    @pytest.fixture
    def config(self, config):
        return replace(config, generator=replace(config.generator, subdivisions=1))

    def test_every_parameter_gets_a_gradient(self, config, images):
        trainer = Trainer(config, images)
        scalars = trainer.step()
        assert all(p.grad is not None for p in trainer.generator.parameters())
        assert all(torch.isfinite(value) for value in scalars.values())

    def test_resumed_state_continues_bit_by_bit(self, config, images):
        reference, resumed = Trainer(config, images), Trainer(config, images)
        reference.step()
        resumed.load_state_dict(copy.deepcopy(reference.state_dict()))
        for trainer in (reference, resumed):
            trainer.step()
        assert torch.equal(weights(reference.generator), weights(resumed.generator))


def test_tetrahedra_log_nothing_of_flexicubes(config, images):
    assert not any("flexi" in name for name in Trainer(config, images).step())


def test_r1_runs_every_interval(config, images):
    trainer = Trainer(config, images)
    assert ["discriminator/rgb_r1" in trainer.step() for _ in range(4)] == [True, False] * 2


def test_same_seed_same_run_other_seed_other_run(config, images):
    def run(seed):
        trainer = Trainer(replace(config, schedule=replace(config.schedule, seed=seed)), images)
        for _ in range(2):
            trainer.step()
        return weights(trainer.generator)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_global_random_state_is_left_alone(config, images):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Trainer(config, images).step()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("reuse_fakes", [False, True])
@pytest.mark.parametrize("mirror", [False, True])
def test_resumed_state_continues_bit_by_bit(config, images, reuse_fakes, mirror):
    schedule = replace(config.schedule, reuse_fakes=reuse_fakes, mirror=mirror)
    config = replace(config, schedule=schedule)
    reference = Trainer(config, images)
    for _ in range(2):
        reference.step()
    resumed = Trainer(config, images)
    resumed.load_state_dict(copy.deepcopy(reference.state_dict()))
    for trainer in (reference, resumed):
        for _ in range(2):
            trainer.step()
    for name in ("generator", "discriminator", "average"):
        assert torch.equal(weights(getattr(reference, name)), weights(getattr(resumed, name)))


def test_images_read_one_by_one_train_alike(config, images):
    indices = []

    def read(index):
        indices.append(index)
        return images.read(index)

    memory, disk = Trainer(config, images), Trainer(config, replace(images, read=read))
    for trainer in (memory, disk):
        trainer.step()
    assert torch.equal(weights(memory.discriminator), weights(disk.discriminator))
    assert [len(index) for index in indices] == [1, 4]  # one for the size, then once a step


def test_nan_stops_before_the_network_it_belongs_to_moves(config, images):
    trainer = Trainer(config, images)
    with torch.no_grad():
        next(trainer.discriminator.parameters()).fill_(float("nan"))
    before = weights(trainer.generator)
    with pytest.raises(NonFiniteError, match="generator loss is nan"):
        trainer.step()
    assert torch.equal(weights(trainer.generator), before)
    assert trainer.step_index == 0


def test_images_of_another_size_raise(config, images):
    wrong = replace(images, read=lambda index: images.read(index)[..., :8])
    with pytest.raises(ValueError, match="image_size is 16, but the images are 8 x 16"):
        Trainer(config, wrong)


class MovableCameras:
    """Cameras around a rotation that is learned."""

    def __init__(self):
        self.rotation_rad = torch.tensor(0.3, requires_grad=True)

    def __call__(self, seed, images):
        rotation = self.rotation_rad + images.float() % 6
        return orbit_cameras(rotation, torch.full((len(images),), 1.2), radius=1.2, fovy_rad=0.86)


def test_gradients_reach_cameras_that_require_them(config, images):
    """Through the angles that the discriminators are conditioned on, and through the images."""
    found = []
    for camera_condition in (True, False):
        discriminator = replace(config.discriminator, camera_condition=camera_condition)
        cameras = MovableCameras()
        samplers = Samplers(normal_latents(config.generator.z_dim), cameras)
        Trainer(replace(config, discriminator=discriminator), images, samplers=samplers).step()
        found.append(float(cameras.rotation_rad.grad))
    assert all(math.isfinite(each) and each != 0 for each in found)
    assert found[0] != found[1]


def test_labels_need_discriminators_that_take_them(config, images):
    samplers = Trainer(config, images).samplers
    labelled = replace(samplers, labels=lambda seed, shapes: shapes % 3)
    with pytest.raises(ValueError, match="discriminators are not conditioned on labels"):
        Trainer(config, images, samplers=labelled).step()


def test_learning_rates_fall_linearly(config, images):
    optimizer = replace(config.optimizer, final_lr_factor=0.5)
    trainer = Trainer(replace(config, optimizer=optimizer), images)
    trainer.step_index = 3  # half of 24 images
    trainer._set_learning_rates()
    assert trainer.generator_optimizer.param_groups[0]["lr"] == pytest.approx(0.002 * 0.75)


@pytest.mark.gpu
@pytest.mark.parametrize("composite", ["published", "antialiased"])
def test_steps_on_a_gpu(config, images, composite):
    config = replace(config, rendering=replace(config.rendering, composite=composite))
    trainer = Trainer(config, images, device="cuda")
    for _ in range(3):
        scalars = trainer.step()
    assert all(value.device.type == "cuda" and value.isfinite() for value in scalars.values())
