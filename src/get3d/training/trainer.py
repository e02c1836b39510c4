"""One step of adversarial training; state in, state out, nothing else.

The loop around it (folders, logs, checkpoints, signals) is in `get3d.training.run`.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from get3d.core import Cameras, Images, Styles
from get3d.geometry import camera_angles, roughness, sample_cameras
from get3d.models import Discriminator, Generator, Surface, mix_styles
from get3d.render import LearnedLight, Light
from get3d.training.captured import capture_networks, captured
from get3d.training.config import RunConfig
from get3d.training.ema import ema_decay, update_average
from get3d.training.images import (
    JudgedImages,
    RealBatch,
    TrainingImages,
    check_mirror,
    read_batch,
)
from get3d.training.losses import discriminator_loss, generator_loss, r1_penalty
from get3d.training.randomness import step_generator

_GENERATOR, _DISCRIMINATOR = 1, 2  # streams of randomness
_NUM_RESULTS = 9  # that `_persuade_judges` returns before the features


class NonFiniteError(ArithmeticError):
    """A loss or gradient is NaN or infinite; no weight was changed by it."""


@dataclass(frozen=True)
class Fakes:
    """One portion of generated pictures and what the generator's loss needs besides."""

    judged: JudgedImages
    styles: Styles
    surface: Surface


@dataclass(frozen=True)
class _KeptBatch:
    """Generated images that the discriminators' step takes.

    Attributes:
        batch: Images and cameras, without a graph.
        features: Frozen features of the images, if the generator's step has computed them.
    """

    batch: JudgedImages
    features: Sequence[Tensor] = ()


@dataclass(frozen=True)
class _Verdict:
    """What the judges make of fakes; nothing in it has a graph.

    Attributes:
        features: Frozen features of the images; empty without a frozen network.
        loss: The generator's loss, all discriminators together.
        rgb_loss: Of the colour judge.
        mask_loss: Of the silhouette judge.
        feature_loss: Of the heads on frozen features; 0 without such.
        rgb_logit: Mean logit of the colour judge.
        mask_logit: Mean logit of the silhouette judge.
        feature_logit: Mean logit of the heads.
        grad_rgb: Gradient of `loss` at the colours.
        grad_mask: Gradient of `loss` at the silhouettes.
    """

    features: Sequence[Tensor]
    loss: Tensor
    rgb_loss: Tensor
    mask_loss: Tensor
    feature_loss: Tensor
    rgb_logit: Tensor
    mask_logit: Tensor
    feature_logit: Tensor
    grad_rgb: Tensor
    grad_mask: Tensor


class Trainer:
    """Both networks, their optimisers, the weight average, and the step that moves them."""

    def __init__(
        self, config: RunConfig, images: TrainingImages, *, device: torch.device | str = "cpu"
    ) -> None:
        """Make fresh networks and optimisers for pictures of the config's size."""
        size = config.discriminator.image_size
        height, width = images.read(torch.zeros(1, dtype=torch.int64)).shape[-2:]
        if (height, width) != (size, size):
            raise ValueError(
                f"discriminator.image_size is {size}, but the pictures are {width} x {height}"
            )
        if config.schedule.mirror:
            check_mirror(images.distribution)
        if config.imaging.light == "data" and images.light is None:
            raise ValueError(
                'imaging.light is "data", but nothing says how the data set was lit (only '
                '`get3d render` writes that); use imaging.light "learned" or "none"'
            )
        self.config = config
        self.images = images
        self.device = torch.device(device)
        self.step_index = 0
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator
            torch.manual_seed(config.schedule.seed)
            self.generator = Generator(config.generator).to(self.device)
            self.discriminator = Discriminator(config.discriminator).to(self.device)
        heads = self.discriminator.features
        # The config has their path alone, which does not say what the file holds.
        self._features = "" if heads is None else heads.project.network.fingerprint
        is_light_learned = config.imaging.light == "learned"
        self.learned_light = LearnedLight().to(self.device) if is_light_learned else None
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        optimizer, loss = config.optimizer, config.loss
        light_parameters = [] if self.learned_light is None else self.learned_light.parameters()
        self.generator_optimizer = torch.optim.Adam(
            [*self.generator.parameters(), *light_parameters],
            lr=optimizer.generator_lr,
            betas=optimizer.betas,
            eps=optimizer.eps,
            fused=self.device.type in ("cpu", "cuda"),
        )
        # Lazy regularisation adds one optimiser step every r1_interval; the rates are scaled so
        # that the sum of both has the effect of one (StyleGAN2, appendix B).
        share = loss.r1_interval / (loss.r1_interval + 1)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(),
            lr=optimizer.discriminator_lr * share,
            betas=(optimizer.betas[0] ** share, optimizer.betas[1] ** share),
            eps=optimizer.eps,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self._base_rates = (optimizer.generator_lr, optimizer.discriminator_lr * share)
        self._judges = [p for p in self.discriminator.parameters() if p.requires_grad]
        capture_networks(
            self.generator, num_latents=2 * self._num_shapes, num_shapes=self._num_shapes
        )
        self._captured_size = 0
        self._capture_steps()

    @property
    def _num_shapes(self) -> int:
        """Shapes generated at once."""
        schedule = self.config.schedule
        return schedule.batch_size // schedule.accumulate // schedule.views_per_shape

    @property
    def light(self) -> Light | LearnedLight | None:
        """What generated shapes are lit by; None where the colour field holds the light."""
        return self.images.light if self.config.imaging.light == "data" else self.learned_light

    @property
    def seen_images(self) -> int:
        """Real images shown so far."""
        return self.step_index * self.config.schedule.batch_size

    @property
    def image_size(self) -> int:
        """Side of the images of the next step, in pixels."""
        return self.config.image_size(self.seen_images)

    @property
    def is_finished(self) -> bool:
        """Whether the schedule's total has been reached."""
        return self.seen_images >= self.config.schedule.total_images

    def step(self) -> dict[str, Tensor]:
        """Train both networks on one batch.

        Returns:
            Scalars to log, detached, by name.

        Raises:
            NonFiniteError: If a loss or a gradient is not finite; the network it belongs to is
                unchanged.
        """
        self._set_learning_rates()
        self._capture_steps()
        fakes, scalars = self._train_generator()
        if not self.config.schedule.reuse_fakes:
            with torch.no_grad():
                fakes = [_KeptBatch(fake.judged) for fake in self._generate(_DISCRIMINATOR)]
        real = read_batch(self.images, self.config, self.step_index)
        scalars |= self._train_discriminator(fakes, real)
        if self.step_index % self.config.loss.r1_interval == 0:
            scalars |= self._regularize_discriminator(real)
        self.step_index += 1
        schedule = self.config.schedule
        decay = ema_decay(
            schedule.batch_size,
            self.seen_images,
            half_life_images=schedule.ema_half_life_images,
            ramp_up=schedule.ema_ramp_up,
        )
        update_average(self.average, self.generator, decay)
        return scalars

    def _capture_steps(self) -> None:
        """Record the discriminators' work anew where the resolution has changed."""
        if self._captured_size != self.image_size:
            self._persuade = captured(self._persuade_judges, self.device)
            self._tell_apart = captured(self._tell_real_from_fake, self.device)
            self._smooth = captured(self._smooth_judges, self.device)
            self._captured_size = self.image_size

    def _set_learning_rates(self) -> None:
        progress = min(self.seen_images / self.config.schedule.total_images, 1.0)
        factor = 1.0 + (self.config.optimizer.final_lr_factor - 1.0) * progress
        optimizers = (self.generator_optimizer, self.discriminator_optimizer)
        for optimizer, rate in zip(optimizers, self._base_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    # -- generator ---------------------------------------------------------------------------------

    def _train_generator(self) -> tuple[list[_KeptBatch], dict[str, Tensor]]:
        """One optimiser step of the generator; the fakes come back cut from the graph."""
        loss_config, accumulate = self.config.loss, self.config.schedule.accumulate
        self.generator_optimizer.zero_grad(set_to_none=True)
        kept, parts = [], []
        for fakes in self._generate(_GENERATOR):
            images, surface = fakes.judged.images, fakes.surface
            results = self._persuade(images.rgb, images.mask, fakes.judged.angles)
            verdict = _Verdict(results[_NUM_RESULTS:], *results[:_NUM_RESULTS])
            with torch.set_grad_enabled(loss_config.roughness_weight > 0):
                rough = roughness(surface.meshes)
            own = (
                loss_config.sign_change_weight * surface.sign_change_loss
                + loss_config.roughness_weight * rough
                + loss_config.empty_weight * surface.empty_penalty
                + loss_config.flexi_deviation_weight * surface.deviation_loss
                + loss_config.flexi_magnitude_weight * surface.magnitude_loss
            )
            _require_finite("generator loss", verdict.loss + own)
            torch.autograd.backward(
                [own / accumulate, images.rgb, images.mask],
                [None, verdict.grad_rgb / accumulate, verdict.grad_mask / accumulate],
            )
            self.generator.update_w_avg(fakes.styles)
            # What a replay returns is overwritten by the next one.
            is_kept = self.config.schedule.reuse_fakes
            features = [level.clone() for level in verdict.features] if is_kept else []
            kept.append(_KeptBatch(fakes.judged.detach(), features))
            parts.append(
                {
                    "generator/rgb_loss": verdict.rgb_loss,
                    "generator/mask_loss": verdict.mask_loss,
                    "generator/sign_change_loss": surface.sign_change_loss,
                    "generator/roughness": rough,
                    "generator/empty_shapes": surface.was_rescued.float().mean(),
                    "generator/coverage": images.mask.mean(),
                    "fake/rgb_logit": verdict.rgb_logit,
                    "fake/mask_logit": verdict.mask_logit,
                }
            )
            if self.discriminator.features is not None:
                parts[-1] |= {
                    "generator/feature_loss": verdict.feature_loss,
                    "fake/feature_logit": verdict.feature_logit,
                }
            if self.config.generator.iso_surface == "flexicubes":
                parts[-1] |= {
                    "generator/flexi_deviation_loss": surface.deviation_loss,
                    "generator/flexi_magnitude_loss": surface.magnitude_loss,
                }
            parts[-1] = {name: value.detach().clone() for name, value in parts[-1].items()}
        scalars = _mean_scalars(parts)
        scalars["generator/grad_norm"] = _grad_norm("generator", self.generator)
        if self.learned_light is not None:
            _grad_norm("learned light", self.learned_light)  # its optimiser is the generator's
        self.generator_optimizer.step()
        return kept, scalars

    def _persuade_judges(self, rgb: Tensor, mask: Tensor, angles: Tensor) -> Sequence[Tensor]:
        """Differentiate the generator's loss with respect to the generated images.

        Returns:
            The fields of `_Verdict` but the first, then the features one after the other.
        """
        images = Images(rgb.detach().requires_grad_(), mask.detach().requires_grad_())
        features = self.discriminator.project(images.rgb)
        logits = self.discriminator(images, angles, features)
        rgb_loss, mask_loss = generator_loss(logits.rgb).mean(), generator_loss(logits.mask).mean()
        loss = rgb_loss + self.config.loss.mask_weight * mask_loss
        feature_loss = feature_logit = torch.zeros_like(loss)
        if logits.features is not None:
            feature_loss = generator_loss(logits.features).mean()
            feature_logit = logits.features.mean()
            loss = loss + self.config.loss.feature_weight * feature_loss
        gradients = torch.autograd.grad(loss, (images.rgb, images.mask))
        losses = (loss, rgb_loss, mask_loss, feature_loss)
        means = (logits.rgb.mean(), logits.mask.mean(), feature_logit)
        return [value.detach() for value in (*losses, *means, *gradients, *features)]

    def _generate(self, stream: int) -> Iterator[Fakes]:
        """Draw latents and cameras for a batch and render it, portion by portion."""
        schedule = self.config.schedule
        rng = step_generator(schedule.seed, stream, self.step_index, torch.device("cpu"))
        num = schedule.batch_size // schedule.accumulate
        for _ in range(schedule.accumulate):
            cameras = sample_cameras(self.images.distribution, num, generator=rng)
            styles = self._random_styles(self._num_shapes, rng)
            yield self._render(styles, cameras.to(self.device))

    def _random_styles(self, num: int, rng: torch.Generator) -> Styles:
        """Styles of random shapes, some of them crossed with a second one."""
        z_dim = self.config.generator.z_dim
        z = torch.randn(2, 2, num, z_dim, generator=rng).to(self.device)
        both = self.generator.map(z[:, 0].flatten(0, 1), z[:, 1].flatten(0, 1))
        geo, tex = both.geo.chunk(2), both.tex.chunk(2)
        return mix_styles(
            Styles(geo[0], tex[0]),
            Styles(geo[1], tex[1]),
            probability=self.config.schedule.style_mixing,
            generator=rng,
        )

    def _render(self, styles: Styles, cameras: Cameras) -> Fakes:
        fields = self.generator.fields(styles)
        surface = self.generator.extract(fields, for_training=True)
        images = self.generator.render(
            fields,
            surface.meshes,
            cameras,
            self.image_size,
            config=self.config.imaging,
            light=self.light,
        )
        return Fakes(JudgedImages(images, camera_angles(cameras)), styles, surface)

    # -- discriminators ----------------------------------------------------------------------------

    def _train_discriminator(self, fakes: list[_KeptBatch], batch: RealBatch) -> dict[str, Tensor]:
        """One optimiser step of both judges on real and fake pictures."""
        losses, logits = ["rgb_loss", "mask_loss"], ["rgb_logit", "mask_logit"]
        if self.discriminator.features is not None:
            losses, logits = [*losses, "feature_loss"], [*logits, "feature_logit"]
        names = [f"discriminator/{loss}" for loss in losses] + [f"real/{logit}" for logit in logits]
        real_images = batch.portions(self.config, self.device, image_size=self.image_size)
        portions = zip(fakes, real_images, strict=True)
        work = ((*fake.batch.tensors, *real.tensors, *fake.features) for fake, real in portions)
        return self._train_judges("discriminator", names, self._tell_apart, work)

    def _regularize_discriminator(self, batch: RealBatch) -> dict[str, Tensor]:
        """One optimiser step on R1 alone, with the weight of the steps it stands for."""
        loss_config = self.config.loss
        if loss_config.r1_gamma == 0 and loss_config.r1_gamma_mask == 0:
            return {}
        names = ("discriminator/rgb_r1", "discriminator/mask_r1")
        real_images = batch.portions(self.config, self.device, image_size=self.image_size)
        work = (real.tensors for real in real_images)
        scalars = self._train_judges("R1", names, self._smooth, work)
        scalars.pop("R1/grad_norm")
        return scalars

    def _train_judges(
        self,
        name: str,
        scalar_names: Sequence[str],
        differentiate: Callable[..., Sequence[Tensor | None]],
        work: Iterable[Sequence[Tensor]],
    ) -> dict[str, Tensor]:
        """One optimiser step of both judges.

        Args:
            name: Of the loss, in errors and scalars.
            scalar_names: Of what `differentiate` returns after the loss.
            differentiate: Gives the loss, scalars, and the gradient of each of `self._judges`.
            work: Its arguments, portion by portion.
        """
        accumulate = self.config.schedule.accumulate
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        parts = []
        for tensors in work:
            results = differentiate(*tensors)
            loss, *scalars = [each for each in results[: 1 + len(scalar_names)] if each is not None]
            _require_finite(f"{name} loss", loss)
            named = zip(scalar_names, scalars, strict=True)
            parts.append({key: value.clone() for key, value in named})
            gradients = zip(self._judges, results[1 + len(scalar_names) :], strict=True)
            # Adam leaves out what takes no part: blocks of larger images, in R1 the heads.
            used = [(parameter, each) for parameter, each in gradients if each is not None]
            # It wants gradients laid out as the weights are, which convolutions' may not be.
            shares = torch._foreach_mul([each.contiguous() for _, each in used], 1.0 / accumulate)
            for (parameter, _), share in zip(used, shares, strict=True):
                parameter.grad = share if parameter.grad is None else parameter.grad + share
        means = _mean_scalars(parts)
        means[f"{name}/grad_norm"] = _grad_norm(name, self.discriminator)
        self.discriminator_optimizer.step()
        return means

    def _tell_real_from_fake(self, *tensors: Tensor) -> Sequence[Tensor | None]:
        """Differentiate the judges' loss on fakes and real pictures."""
        fake, real = JudgedImages.of(*tensors[:3]), JudgedImages.of(*tensors[3:6])
        fake_features, real_features = self._frozen_features(fake, real, tensors[6:])
        fake_logits = self.discriminator(fake.images, fake.angles, fake_features)
        real_logits = self.discriminator(real.images, real.angles, real_features)
        losses = [
            discriminator_loss(real_logits.rgb, fake_logits.rgb).mean(),
            discriminator_loss(real_logits.mask, fake_logits.mask).mean(),
        ]
        means = [real_logits.rgb.mean(), real_logits.mask.mean()]
        if real_logits.features is not None and fake_logits.features is not None:
            losses.append(discriminator_loss(real_logits.features, fake_logits.features).mean())
            means.append(real_logits.features.mean())
        loss = torch.stack(losses).sum()
        gradients = torch.autograd.grad(loss, self._judges, allow_unused=True)
        return [*(value.detach() for value in (loss, *losses, *means)), *gradients]

    @torch.no_grad()
    def _frozen_features(
        self, fake: JudgedImages, real: JudgedImages, known: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Compute frozen features of generated and real images; none without a frozen network.

        Args:
            fake: Generated images.
            real: As many real ones.
            known: Features of the generated images if they are known already, else empty.
        """
        project = self.discriminator.project
        if self.discriminator.features is None:
            return [], []
        if known:
            return known, project(real.images.rgb)
        both = project(torch.cat([fake.images.rgb, real.images.rgb]))
        halves = [level.chunk(2) for level in both]
        return [half[0] for half in halves], [half[1] for half in halves]

    def _smooth_judges(self, *tensors: Tensor) -> Sequence[Tensor | None]:
        """Differentiate the R1 penalty, weighted for the steps it stands for."""
        loss_config = self.config.loss
        real = JudgedImages.of(*tensors)
        penalty = r1_penalty(self.discriminator.without_features, real.images, real.angles)
        rgb, mask = penalty.rgb.mean(), penalty.mask.mean()
        loss = rgb * (loss_config.r1_gamma / 2) + mask * (loss_config.r1_gamma_mask / 2)
        scale = (real.images.mask.shape[-1] / self.config.discriminator.image_size) ** 2
        gradients = torch.autograd.grad(
            loss * (loss_config.r1_interval * scale), self._judges, allow_unused=True
        )
        return [loss.detach(), rgb.detach(), mask.detach(), *gradients]

    # -- state -------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training: tensors and plain numbers only.

        Random numbers and the place in the data follow from `seed` and `step_index`.
        """
        light = {} if self.learned_light is None else {"light": self.learned_light.state_dict()}
        features = {"features": self._features} if self._features else {}
        return (
            light
            | features
            | {
                "step_index": self.step_index,
                "images": self.images.fingerprint,
                "generator": self.generator.state_dict(),
                "discriminator": self.discriminator.state_dict(),
                "average": self.average.state_dict(),
                "generator_optimizer": self.generator_optimizer.state_dict(),
                "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state.

        Raises:
            RuntimeError: If a network's tensors have other names or shapes.
            ValueError: If the state is of a run on other pictures, or with other weights of the
                frozen network.
        """
        if state["images"] != self.images.fingerprint:
            raise ValueError(
                "the run was started on other pictures (their cameras differ); use the same data "
                "or another run folder"
            )
        if state.get("features", self._features) != self._features:
            raise ValueError(
                "the run was started with other weights of the frozen network than those of "
                f"discriminator.features ({self.config.discriminator.features}); give the path of "
                "the same ones, or use another run folder"
            )
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        if self.learned_light is not None:
            self.learned_light.load_state_dict(state["light"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.step_index = int(state["step_index"])


def _require_finite(name: str, value: Tensor) -> None:
    if not bool(torch.isfinite(value)):
        raise NonFiniteError(f"{name} is {value.item()}")


def _grad_norm(name: str, module: torch.nn.Module) -> Tensor:
    """Norm of all gradients, which must be finite before an optimiser may use them."""
    norm = torch.nn.utils.get_total_norm(
        [p.grad for p in module.parameters() if p.grad is not None]
    )
    _require_finite(f"{name} gradient norm", norm)
    return norm


def _mean_scalars(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.stack([part[key].detach() for part in parts]).mean() for key in parts[0]}
