"""One step of adversarial training; state in, state out, nothing else.

The loop around it (folders, logs, checkpoints, signals) is in `get3d.training.run`.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from get3d.core import Cameras, Styles
from get3d.geometry import camera_angles, sample_cameras
from get3d.models import Discriminator, Generator, Surface, mix_styles
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


class NonFiniteError(ArithmeticError):
    """A loss or gradient is NaN or infinite; no weight was changed by it."""


@dataclass(frozen=True)
class Fakes:
    """One portion of generated pictures and what the generator's loss needs besides."""

    judged: JudgedImages
    styles: Styles
    surface: Surface


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
        self.config = config
        self.images = images
        self.device = torch.device(device)
        self.step_index = 0
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator
            torch.manual_seed(config.schedule.seed)
            self.generator = Generator(config.generator).to(self.device)
            self.discriminator = Discriminator(config.discriminator).to(self.device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        optimizer, loss = config.optimizer, config.loss
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(),
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

    @property
    def seen_images(self) -> int:
        """Real images shown so far."""
        return self.step_index * self.config.schedule.batch_size

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
        fakes, scalars = self._train_generator()
        if not self.config.schedule.reuse_fakes:
            with torch.no_grad():
                fakes = [fake.judged for fake in self._generate(_DISCRIMINATOR)]
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

    def _set_learning_rates(self) -> None:
        progress = min(self.seen_images / self.config.schedule.total_images, 1.0)
        factor = 1.0 + (self.config.optimizer.final_lr_factor - 1.0) * progress
        optimizers = (self.generator_optimizer, self.discriminator_optimizer)
        for optimizer, rate in zip(optimizers, self._base_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    # -- generator ---------------------------------------------------------------------------------

    def _train_generator(self) -> tuple[list[JudgedImages], dict[str, Tensor]]:
        """One optimiser step of the generator; the fakes come back cut from the graph."""
        loss_config, accumulate = self.config.loss, self.config.schedule.accumulate
        self.generator_optimizer.zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)
        kept, parts = [], []
        for fakes in self._generate(_GENERATOR):
            judged = fakes.judged
            logits = self.discriminator(judged.images, judged.angles)
            rgb, mask = generator_loss(logits.rgb).mean(), generator_loss(logits.mask).mean()
            sign_change = fakes.surface.sign_change_loss
            empty = fakes.surface.empty_penalty
            loss = (
                rgb
                + loss_config.mask_weight * mask
                + loss_config.sign_change_weight * sign_change
                + loss_config.empty_weight * empty
            )
            _require_finite("generator loss", loss)
            (loss / accumulate).backward()
            self.generator.update_w_avg(fakes.styles)
            kept.append(judged.detach())
            parts.append(
                {
                    "generator/rgb_loss": rgb,
                    "generator/mask_loss": mask,
                    "generator/sign_change_loss": sign_change,
                    "generator/empty_shapes": fakes.surface.was_rescued.float().mean(),
                    "generator/coverage": judged.images.mask.mean(),
                    "fake/rgb_logit": logits.rgb.mean(),
                    "fake/mask_logit": logits.mask.mean(),
                }
            )
        self.discriminator.requires_grad_(True)
        scalars = _mean_scalars(parts)
        scalars["generator/grad_norm"] = _grad_norm("generator", self.generator)
        self.generator_optimizer.step()
        return kept, scalars

    def _generate(self, stream: int) -> Iterator[Fakes]:
        """Draw latents and cameras for a batch and render it, portion by portion."""
        schedule = self.config.schedule
        rng = step_generator(schedule.seed, stream, self.step_index, torch.device("cpu"))
        num = schedule.batch_size // schedule.accumulate
        for _ in range(schedule.accumulate):
            cameras = sample_cameras(self.images.distribution, num, generator=rng)
            styles = self._random_styles(num, rng)
            yield self._render(styles, cameras.to(self.device))

    def _random_styles(self, num: int, rng: torch.Generator) -> Styles:
        """Styles of random shapes, some of them crossed with a second one."""
        z_dim = self.config.generator.z_dim
        z = torch.randn(2, 2, num, z_dim, generator=rng).to(self.device)
        styles = self.generator.map(z[0, 0], z[0, 1])
        if self.config.schedule.style_mixing == 0:
            return styles
        other = self.generator.map(z[1, 0], z[1, 1])
        return mix_styles(
            styles, other, probability=self.config.schedule.style_mixing, generator=rng
        )

    def _render(self, styles: Styles, cameras: Cameras) -> Fakes:
        fields = self.generator.fields(styles)
        surface = self.generator.extract(fields)
        images = self.generator.render(
            fields,
            surface.meshes,
            cameras,
            self.config.discriminator.image_size,
            config=self.config.imaging,
        )
        return Fakes(JudgedImages(images, camera_angles(cameras)), styles, surface)

    # -- discriminators ----------------------------------------------------------------------------

    def _train_discriminator(
        self, fakes: list[JudgedImages], batch: RealBatch
    ) -> dict[str, Tensor]:
        """One optimiser step of both judges on real and fake pictures."""
        accumulate = self.config.schedule.accumulate
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        parts = []
        for fake, real in zip(fakes, batch.portions(self.config, self.device), strict=True):
            fake_logits = self.discriminator(fake.images, fake.angles)
            real_logits = self.discriminator(real.images, real.angles)
            rgb = discriminator_loss(real_logits.rgb, fake_logits.rgb).mean()
            mask = discriminator_loss(real_logits.mask, fake_logits.mask).mean()
            loss = rgb + mask
            _require_finite("discriminator loss", loss)
            (loss / accumulate).backward()
            parts.append(
                {
                    "discriminator/rgb_loss": rgb,
                    "discriminator/mask_loss": mask,
                    "real/rgb_logit": real_logits.rgb.mean(),
                    "real/mask_logit": real_logits.mask.mean(),
                }
            )
        scalars = _mean_scalars(parts)
        scalars["discriminator/grad_norm"] = _grad_norm("discriminator", self.discriminator)
        self.discriminator_optimizer.step()
        return scalars

    def _regularize_discriminator(self, batch: RealBatch) -> dict[str, Tensor]:
        """One optimiser step on R1 alone, with the weight of the steps it stands for."""
        loss_config, accumulate = self.config.loss, self.config.schedule.accumulate
        if loss_config.r1_gamma == 0 and loss_config.r1_gamma_mask == 0:
            return {}
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        parts = []
        for real in batch.portions(self.config, self.device):
            penalty = r1_penalty(self.discriminator, real.images, real.angles)
            rgb, mask = penalty.rgb.mean(), penalty.mask.mean()
            loss = rgb * (loss_config.r1_gamma / 2) + mask * (loss_config.r1_gamma_mask / 2)
            _require_finite("R1 penalty", loss)
            (loss * (loss_config.r1_interval / accumulate)).backward()
            parts.append({"discriminator/rgb_r1": rgb, "discriminator/mask_r1": mask})
        _grad_norm("R1", self.discriminator)
        self.discriminator_optimizer.step()
        return _mean_scalars(parts)

    # -- state -------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training: tensors and plain numbers only.

        Random numbers and the place in the data follow from `seed` and `step_index`.
        """
        return {
            "step_index": self.step_index,
            "images": self.images.fingerprint,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state.

        Raises:
            RuntimeError: If a network's tensors have other names or shapes.
            ValueError: If the state is of a run on other pictures.
        """
        if state["images"] != self.images.fingerprint:
            raise ValueError(
                "the run was started on other pictures (their cameras differ); use the same data "
                "or another run folder"
            )
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
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
