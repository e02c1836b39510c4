import copy
from dataclasses import replace

import pytest
import torch

from get3d.training import NonFiniteError, Trainer


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
    whole = Trainer(config, images)
    for _ in range(2):
        whole.step()
    resumed = Trainer(config, images)
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    for trainer in (whole, resumed):
        for _ in range(2):
            trainer.step()
    for name in ("generator", "discriminator", "average"):
        assert torch.equal(weights(getattr(whole, name)), weights(getattr(resumed, name)))


def test_accumulated_gradient_is_that_of_the_whole_batch(config, images):
    """Without minibatch statistics across the portions and with the same shapes, up to rounding."""
    schedule = replace(config.schedule, batch_size=4, style_mixing=0.0)
    trainer = Trainer(
        replace(
            config,
            schedule=replace(schedule, accumulate=2),
            discriminator=replace(config.discriminator, mbstd_group_size=1),
        ),
        images,
    )
    whole = list(trainer._real_batches())
    assert [len(part.images.rgb) for part in whole] == [2, 2]
    trainer.step()
    assert trainer.seen_images == 4


def test_mirrored_pictures_mirror_their_cameras(config, images):
    config = replace(config, schedule=replace(config.schedule, mirror=True))
    trainer = Trainer(config, images)
    index = torch.tensor([1, 2])
    plain = trainer._real_batch(index, torch.tensor([False, False]))
    mixed = trainer._real_batch(index, torch.tensor([False, True]))
    assert torch.equal(mixed.images.rgb[0], plain.images.rgb[0])
    assert torch.equal(mixed.images.rgb[1], plain.images.rgb[1].flip(-1))
    full_turn = mixed.angles[1, 0] + plain.angles[1, 0]
    assert torch.allclose(full_turn, torch.tensor(2 * torch.pi))
    assert mixed.angles[1, 1] == plain.angles[1, 1]


def test_real_masks_are_binary_or_soft(config, images):
    images = replace(images, rgba_u8=images.rgba_u8 // 2)
    binary = Trainer(config, images)._real_batch(torch.arange(3), torch.zeros(3, dtype=torch.bool))
    config = replace(config, loss=replace(config.loss, real_mask="soft"))
    soft = Trainer(config, images)._real_batch(torch.arange(3), torch.zeros(3, dtype=torch.bool))
    assert set(binary.images.mask.unique().tolist()) == {0.0, 1.0}
    assert soft.images.mask.max() == pytest.approx(127 / 255)


def test_nan_stops_before_the_network_it_belongs_to_moves(config, images):
    trainer = Trainer(config, images)
    with torch.no_grad():
        next(trainer.discriminator.parameters()).fill_(float("nan"))
    before = weights(trainer.generator)
    with pytest.raises(NonFiniteError, match="generator loss is nan"):
        trainer.step()
    assert torch.equal(weights(trainer.generator), before)
    assert trainer.step_index == 0


def test_pictures_of_another_size_are_refused(config, images):
    wrong = replace(images, rgba_u8=images.rgba_u8[..., :8])
    with pytest.raises(ValueError, match="image_size is 16, but the pictures are 8 x 16"):
        Trainer(config, wrong)


def test_learning_rates_fall_linearly(config, images):
    optimizer = replace(config.optimizer, final_lr_factor=0.5)
    trainer = Trainer(replace(config, optimizer=optimizer), images)
    trainer.step_index = 3  # half of 24 images
    trainer._set_learning_rates()
    assert trainer.generator_optimizer.param_groups[0]["lr"] == pytest.approx(0.002 * 0.75)
