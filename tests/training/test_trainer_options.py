"""Options of the training step beyond the published one, alone and together."""

import copy
from dataclasses import replace

import pytest
import torch

from get3d.core import Condition, ImageBatch, Images
from get3d.render import LearnedLight, Light
from get3d.training import NonFiniteError, Trainer, discriminator_step, r1_step
from get3d.training.losses import generator_loss
from get3d.training.randomness import Purpose
from get3d.training.steps import adversarial_gradient
from tests.training.test_trainer import weights


def first_batch(trainer):
    """Chunks and real images of the first step."""
    chunks = trainer._chunks(0)
    return chunks, [trainer._read(chunk) for chunk in chunks]


def changed(config, **changes):
    """`config` with single values changed, given as section__name."""
    for name, value in changes.items():
        section, key = name.split("__")
        part = replace(getattr(config, section), **{key: value})
        config = replace(config, **{section: part})
    return config


@pytest.fixture
def with_features(config):
    return changed(config, discriminator__features="imagenet", discriminator__feature_image_size=32)


@pytest.fixture
def everything(with_features):
    """All at once; the full resolution begins after two steps."""
    return changed(
        with_features,
        rendering__light="learned",
        schedule__views_per_shape=2,
        schedule__coarse_images=(8,),
    )


def seen_sizes(trainer):
    """Sides of all images that the discriminators are applied to from now on."""
    sizes = []
    apply = trainer.discriminator.without_features

    def record(images, angles):
        assert images.mask.shape[-2:] == images.rgb.shape[-2:]
        sizes.append(images.rgb.shape[-1])
        return apply(images, angles)

    trainer.discriminator.without_features = record
    return sizes


class TestEverything:
    @pytest.mark.parametrize("reuse_fakes", [False, True])
    def test_resumed_state_continues_bit_by_bit(self, everything, images, reuse_fakes):
        config = changed(everything, schedule__reuse_fakes=reuse_fakes)
        reference, states = Trainer(config, images), []
        for _ in range(3):
            states.append(copy.deepcopy(reference.state_dict()))
            reference.step()
        for start in (1, 2):  # before and at the change of the resolution
            resumed = Trainer(config, images)
            resumed.load_state_dict(states[start])
            for _ in range(start, 3):
                resumed.step()
            for name in ("generator", "discriminator", "average", "learned_light"):
                assert torch.equal(
                    weights(getattr(reference, name)), weights(getattr(resumed, name))
                )

    def test_every_parameter_gets_a_gradient(self, everything, images):
        trainer = Trainer(everything, images)
        networks = (trainer.generator, trainer.discriminator, trainer.learned_light)
        weights = [weight for network in networks for weight in network.parameters()]
        has_gradient = [False] * len(weights)
        for _ in range(3):
            scalars = trainer.step()
            for i, weight in enumerate(weights):
                moments = (
                    trainer.generator_optimizer.state.get(weight)
                    or trainer.discriminator_optimizer.state.get(weight)
                    or {"exp_avg_sq": torch.zeros(())}
                )
                has_gradient[i] |= bool(moments["exp_avg_sq"].any())
        assert all(has_gradient)
        assert all(value.isfinite() for value in scalars.values())

    def test_accumulation(self, everything, images):
        scalars = Trainer(changed(everything, schedule__grad_accumulation_steps=2), images).step()
        assert all(value.isfinite() for value in scalars.values())


class TestFeatures:
    def test_scalars(self, config, with_features, images):
        names = {"generator/feature_loss", "fake/feature_logit"}
        names |= {"discriminator/feature_loss", "real/feature_logit"}
        assert not names & set(Trainer(config, images).step())
        assert names <= set(Trainer(with_features, images).step())

    def test_a_state_without_features_is_as_before(self, config, images):
        state = Trainer(config, images).state_dict()
        assert "light" not in state
        assert not any("feature" in name for name in state["discriminator"])

    def test_handed_over_features_give_the_same_step(self, with_features, images):
        def first(trainer):
            (batch,), (features,), _ = trainer._train_generator(*first_batch(trainer))
            return batch, features

        trainer = Trainer(with_features, images)
        assert not first(trainer)[1]  # as the discriminators' step has other images
        trainer = Trainer(changed(with_features, schedule__reuse_fakes=True), images)
        batch, features = first(trainer)
        discriminator = trainer.discriminator
        expected = discriminator.project(batch.images.rgb)
        for found, wanted in zip(features, expected, strict=True):
            assert torch.equal(found, wanted)
        (real,) = map(trainer._to_batch, map(trainer._read, trainer._chunks(0)))
        before = copy.deepcopy(discriminator.state_dict())  # spectral norms move with use
        gradients = []
        for known in ((), features):
            discriminator.load_state_dict(before)
            discriminator.zero_grad()
            loss = discriminator_step(discriminator, batch, real, known, config=with_features.loss)
            gradients.append([loss.total, *(p.grad for p in discriminator.parameters())])
        for one, other in zip(*gradients, strict=True):
            # One pass of all images or one of each half: sums of 32 bits in another order.
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)

    def test_generator_loss_and_its_gradient_by_hand(self, with_features, images):
        config = changed(with_features, loss__feature_weight=0.7, loss__mask_weight=0.5)
        discriminator = Trainer(config, images).discriminator.eval()  # keeps the spectral norms
        rng = torch.Generator().manual_seed(0)
        rgb = (torch.rand(4, 3, 16, 16, generator=rng) * 2 - 1).requires_grad_()
        mask = torch.rand(4, 1, 16, 16, generator=rng, requires_grad=True)
        angles = torch.rand(4, 2, generator=rng, requires_grad=True)
        logits = discriminator(Images(rgb, mask), angles)
        total = (
            generator_loss(discriminator.rgb(rgb, angles)).mean()
            + 0.5 * generator_loss(discriminator.mask(mask, angles)).mean()
            + 0.7 * generator_loss(logits.features).mean()
        )
        gradients = torch.autograd.grad(total, (rgb, mask, angles))
        batch = ImageBatch(Images(rgb, mask), Condition(angles))
        found = adversarial_gradient(discriminator, batch, config=config.loss)
        torch.testing.assert_close(found.total, total.detach())
        assert not found.total.requires_grad
        features = generator_loss(logits.features).mean().detach()
        torch.testing.assert_close(found.terms.features, features)
        torch.testing.assert_close(found.logits.features, logits.features.mean().detach())
        given = (found.grad_rgb, found.grad_mask, found.grad_angles)
        for each, expected in zip(given, gradients, strict=True):
            torch.testing.assert_close(each, expected, rtol=1e-4, atol=1e-8)
        assert len(found.features) == 4
        assert all(parameter.grad is None for parameter in discriminator.parameters())

    def test_r1_does_not_touch_the_heads(self, with_features, images):
        trainer = Trainer(with_features, images)
        parts = (trainer.discriminator.features, trainer.discriminator.rgb)
        before = [weights(part) for part in parts]
        trainer._regularize_discriminator([], first_batch(trainer)[1])
        after = [weights(part) for part in parts]
        assert torch.equal(before[0], after[0])  # the vectors of the spectral norms, too
        assert not torch.equal(before[1], after[1])

    def test_the_weight_counts(self, with_features, images):
        def gradient(weight):
            trainer = Trainer(changed(with_features, loss__feature_weight=weight), images)
            trainer._train_generator(*first_batch(trainer))
            return torch.cat([p.grad.flatten() for p in trainer.generator.parameters()])

        zero, one, two = (gradient(weight) for weight in (0.0, 1.0, 2.0))
        assert (one - zero).norm() > 1e-3 * zero.norm()
        torch.testing.assert_close(two - zero, 2 * (one - zero), rtol=1e-2, atol=1e-4)


class TestLight:
    def test_learned_light_moves_and_is_saved(self, config, images):
        trainer = Trainer(changed(config, rendering__light="learned"), images)
        assert isinstance(trainer.light, LearnedLight)
        before = trainer.learned_light.coefficients.detach().clone()
        trainer.step()
        after = trainer.learned_light.coefficients.detach()
        assert (after != before).all()
        assert (after - before).abs().max() < 0.003  # one step of Adam at 0.002
        assert torch.equal(trainer.state_dict()["light"]["coefficients"], after)

    def test_its_gradient_must_be_finite(self, config, images):
        trainer = Trainer(changed(config, rendering__light="learned"), images)
        trainer.learned_light.coefficients.register_hook(lambda gradient: gradient * float("nan"))
        before = [p.detach().clone() for p in trainer.generator.parameters()]
        with pytest.raises(NonFiniteError, match="learned light gradient norm is nan"):
            trainer.step()
        assert all(map(torch.equal, before, trainer.generator.parameters()))

    def test_light_of_the_data(self, config, images):
        config = changed(config, rendering__light="data")
        lit = Trainer(config, replace(images, light=Light(sky=0.5)))
        assert lit.light == Light(sky=0.5)
        unlit = Trainer(config, replace(images, light=Light.unlit()))
        for trainer in (lit, unlit):
            trainer.step()
            assert "light" not in trainer.state_dict()
        assert not torch.equal(weights(lit.generator), weights(unlit.generator))

    def test_light_of_the_data_is_unused_by_default(self, config, images):
        trainer = Trainer(config, replace(images, light=Light()))
        assert trainer.light is None

    def test_unknown_light_of_the_data(self, config, images):
        with pytest.raises(
            ValueError, match=r'rendering.light is "data", but.*use rendering.light'
        ):
            Trainer(changed(config, rendering__light="data"), images)


class TestRoughness:
    def test_its_weight_adds_its_gradient(self, config, images):
        def gradient(weight):
            trainer = Trainer(changed(config, loss__roughness_weight=weight), images)
            trainer._train_generator(*first_batch(trainer))
            return torch.cat([p.grad.flatten() for p in trainer.generator.parameters()])

        zero, one, two = (gradient(weight) for weight in (0.0, 1.0, 2.0))
        assert (one - zero).norm() > 1e-3 * zero.norm()
        torch.testing.assert_close(two - zero, 2 * (one - zero), rtol=1e-2, atol=1e-4)

    def test_it_is_logged_without_a_weight_too(self, config, images):
        assert Trainer(config, images).step()["generator/roughness"] > 0


class TestCoarseImages:
    def test_half_the_size_then_the_full_one(self, config, images):
        trainer = Trainer(changed(config, schedule__coarse_images=(8,)), images)
        sizes = seen_sizes(trainer)
        for expected in (8, 8, 16, 16):
            sizes.clear()
            assert trainer.image_size == expected
            trainer.step()
            # The generator's step, generated and real images, and in every other step R1.
            assert sizes in ([expected] * 3, [expected] * 4)

    def test_unused_blocks_wait(self, config, images):
        trainer = Trainer(changed(config, schedule__coarse_images=(4,)), images)
        first = [each.blocks[0] for each in (trainer.discriminator.rgb, trainer.discriminator.mask)]
        before = [weights(block) for block in first]
        trainer.step()
        assert all(torch.equal(a, weights(b)) for a, b in zip(before, first, strict=True))
        trainer.step()
        assert not any(torch.equal(a, weights(b)) for a, b in zip(before, first, strict=True))

    def test_r1_is_scaled_with_the_pixels(self, config, images):
        """A quarter at half the size; the logged penalty is not scaled."""
        discriminator = Trainer(config, images).discriminator
        rng = torch.Generator().manual_seed(0)
        small = ImageBatch(
            Images(torch.randn(4, 3, 8, 8, generator=rng), torch.rand(4, 1, 8, 8, generator=rng)),
            Condition(torch.rand(4, 2, generator=rng)),
        )
        coarse = r1_step(discriminator, small, config=config.loss)
        gradients = [p.grad for p in discriminator.parameters()]
        discriminator.zero_grad()
        discriminator.config = replace(config.discriminator, image_size=8)  # the full size now
        full = r1_step(discriminator, small, config=config.loss)
        assert torch.equal(coarse.total, full.total)
        for one, parameter in zip(gradients, discriminator.parameters(), strict=True):
            assert (one is None) == (parameter.grad is None)
            if one is not None:
                torch.testing.assert_close(one * 4, parameter.grad)

    def test_blocks_that_wait_are_left_out_by_the_optimiser(self, config, images):
        """Their first step is the first for Adam too, so it is no larger than the learning rate."""
        trainer = Trainer(changed(config, schedule__coarse_images=(4,)), images)
        trainer.step()
        first = next(iter(trainer.discriminator.mask.blocks))
        assert not any(
            weight in trainer.discriminator_optimizer.state for weight in first.parameters()
        )


class TestViewsPerShape:
    def test_consecutive_images_show_one_shape(self, config, images):
        """With all cameras at one place, pairs of images are equal and others are not."""
        fixed = replace(images.distribution, rotation_deg=(20.0, 20.0), polar_deg=(70.0, 70.0))
        config = changed(config, schedule__views_per_shape=2, generator__sdf_base_weight=1.0)
        trainer = Trainer(config, replace(images, distribution=fixed))
        (chunk,) = trainer._chunks(0)
        generated = trainer._generate(Purpose.GENERATOR, chunk)
        rgb, mask = generated.batch.images.rgb, generated.batch.images.mask
        assert len(rgb) == 4
        assert len(generated.surface.meshes) == 2
        for image in (rgb, mask):
            assert torch.equal(image[0::2], image[1::2])
            assert not torch.equal(image[0], image[2])

    def test_every_image_has_a_camera_of_its_own(self, config, images):
        trainer = Trainer(changed(config, schedule__views_per_shape=2), images)
        (chunk,) = trainer._chunks(0)
        angles = trainer._generate(Purpose.GENERATOR, chunk).batch.condition.angles
        assert len(angles.unique(dim=0)) == 4

    def test_chunks(self, config, images):
        config = changed(config, schedule__views_per_shape=2, schedule__grad_accumulation_steps=2)
        trainer = Trainer(config, images)
        assert [len(chunk.shapes) for chunk in trainer._chunks(0)] == [1, 1]
        trainer.step()


@pytest.mark.gpu
@pytest.mark.parametrize("reuse_fakes", [False, True])
def test_steps_on_a_gpu(everything, images, reuse_fakes):
    """Recorded anew at the change of the resolution."""
    trainer = Trainer(changed(everything, schedule__reuse_fakes=reuse_fakes), images, device="cuda")
    for _ in range(4):
        scalars = trainer.step()
    assert all(value.device.type == "cuda" and value.isfinite() for value in scalars.values())
