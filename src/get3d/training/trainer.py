"""The state of training: both networks, their optimisers and the weight average.

The losses are in `get3d.training.steps`, the loop (folders, logs, checkpoints, signals) in
`get3d.training.run`.
"""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor

from get3d.core import (
    Condition,
    ConfigError,
    DataError,
    ImageBatch,
    ModelError,
    Styles,
    contact_sheet,
    images_to_u8,
    replicas,
    shorten,
)
from get3d.geometry import camera_angles
from get3d.models import DiscriminatorPair, Generator, cross_styles
from get3d.render import LearnedLight, Light
from get3d.training.checkpoints import DamagedCheckpointError
from get3d.training.chunks import Chunk, batch_chunks
from get3d.training.config import RunConfig
from get3d.training.cuda_graphs import record_networks, recorded
from get3d.training.ema import ema_decay, update_average
from get3d.training.images import RealImages, TrainingImages, check_mirror, read_images
from get3d.training.randomness import Purpose, derive_seed
from get3d.training.run import NonFiniteError
from get3d.training.samplers import (
    Samplers,
    distribution_cameras,
    normal_latents,
    sample_crossovers,
)
from get3d.training.samples import render_samples
from get3d.training.saved_state import check_weights, checked_optimizer_state
from get3d.training.steps import (
    DiscriminatorLoss,
    Features,
    GeneratedBatch,
    GeneratorLoss,
    adversarial_gradient,
    discriminator_step,
    generator_step,
    r1_step,
    trained_parameters,
)

_MOST_STEPS = 2**40


class Trainer:
    """The state of adversarial training and its step; a `Stepper` of a `Run`.

    Attributes:
        config: Config of the run.
        images: The real images.
        device: Device of networks and batches.
        samplers: Samplers of latent codes, cameras and labels.
        step_index: Optimiser steps so far.
        generator: The generator.
        discriminator: The discriminators.
        average: Exponential moving average of the generator.
        learned_light: Light with learned parameters; None for other kinds of light.
    """

    def __init__(
        self,
        config: RunConfig,
        images: TrainingImages,
        *,
        device: torch.device | str = "cpu",
        samplers: Samplers | None = None,
    ) -> None:
        """Initialise networks and optimisers.

        Args:
            config: Config of the run.
            images: The real images.
            device: Device of networks and batches.
            samplers: Samplers of latent codes, cameras and labels; None: normal latent codes, the
                data set's cameras, no labels.

        Raises:
            ConfigError: If images and config do not fit each other, or the batch cannot be divided
                among the processes.
        """
        _check_images(config, images)
        self.config = config
        self.images = images
        self.device = torch.device(device)
        self.step_index = 0
        self.samplers = samplers or Samplers(
            normal_latents(config.generator.z_dim), distribution_cameras(images.distribution)
        )
        self._chunks(0)  # raises if the batch does not divide
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator
            torch.manual_seed(config.schedule.seed)
            self.generator = Generator(config.generator).to(self.device)
            self.discriminator = DiscriminatorPair(config.discriminator).to(self.device)
        heads = self.discriminator.features
        # The config has only the path of the weights, which does not identify them.
        self._features = "" if heads is None else heads.project.network.fingerprint
        is_light_learned = config.rendering.light == "learned"
        self.learned_light = LearnedLight().to(self.device) if is_light_learned else None
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        optimizer, loss = config.optimizer, config.loss
        is_fused = self.device.type in ("cpu", "cuda")
        light_parameters = [] if self.learned_light is None else self.learned_light.parameters()
        self.generator_optimizer = torch.optim.Adam(
            [*self.generator.parameters(), *light_parameters],
            lr=optimizer.generator_lr,
            betas=optimizer.betas,
            eps=optimizer.eps,
            fused=is_fused,
        )
        # Lazy regularisation adds one optimiser step every r1_interval; the rates are scaled so
        # that the sum of both has the effect of one (StyleGAN2, appendix B).
        scale = loss.r1_interval / (loss.r1_interval + 1)
        self.discriminator_optimizer = torch.optim.Adam(
            trained_parameters(self.discriminator),
            lr=optimizer.discriminator_lr * scale,
            betas=(optimizer.betas[0] ** scale, optimizer.betas[1] ** scale),
            eps=optimizer.eps,
            fused=is_fused,
        )
        self._base_rates = (optimizer.generator_lr, optimizer.discriminator_lr * scale)
        num_shapes = len(self._chunks(0)[0].shapes)
        record_networks(self.generator, num_latents=2 * num_shapes, num_shapes=num_shapes)
        self._recorded_size = 0
        self._record_steps()

    # -- interface of get3d.training.run.Stepper ---------------------------------------------------

    @property
    def seen_images(self) -> int:
        """Real images seen so far."""
        return self.step_index * self.config.schedule.batch_size

    @property
    def is_finished(self) -> bool:
        """Whether the schedule's total has been reached."""
        return self.seen_images >= self.config.schedule.total_images

    def step(self) -> dict[str, Tensor]:
        """Train both networks on one batch.

        Returns:
            Scalars to log, by name, without a graph.

        Raises:
            NonFiniteError: If a loss or a gradient is not finite; the network it belongs to is
                unchanged.
        """
        schedule = self.config.schedule
        self._set_learning_rates()
        self._record_steps()
        chunks = self._chunks(self.step_index)
        real = [self._read(chunk) for chunk in chunks]
        generated, features, scalars = self._train_generator(chunks, real)
        if not schedule.reuse_fakes:
            with torch.no_grad():
                generated = [self._generate(Purpose.DISCRIMINATOR, each).batch for each in chunks]
        scalars |= self._train_discriminator(generated, features, real)
        if self.step_index % self.config.loss.r1_interval == 0:
            scalars |= self._regularize_discriminator(generated, real)
        self.step_index += 1
        decay = ema_decay(
            schedule.batch_size,
            self.seen_images,
            half_life_images=schedule.ema_half_life_images,
            ramp_up=schedule.ema_ramp_up,
        )
        update_average(self.average, self.generator, decay)
        return replicas.mean_scalars(scalars)

    def draw_samples(self) -> Image:
        """Render a contact sheet of samples, always of the same latent codes."""
        images = render_samples(
            self.average,
            self.images.distribution,
            image_size=self.config.discriminator.image_size,
            rendering=self.config.rendering,
            light=self.light,
            seed=self.config.schedule.seed,
        )
        return contact_sheet(images_to_u8(images[:, :3]), columns=8)

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes in training: tensors and plain numbers only.

        Random numbers and the position in the data follow from `seed` and `step_index`.
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
        """Load a saved state.

        Args:
            state: State from `state_dict`.

        Raises:
            DataError: If the state is of a run on other images.
            DamagedCheckpointError: If a part is missing, of another shape or not finite; nothing is
                loaded then.
            ModelError: If the state is of a run with other weights of the frozen network.
        """
        step_index = state.get("step_index")
        if type(step_index) is not int or not 0 <= step_index < _MOST_STEPS:
            raise DamagedCheckpointError(f"step_index is no number of steps: {shorten(step_index)}")
        if not isinstance(state.get("images"), str):
            raise DamagedCheckpointError("the fingerprint of the images is missing")
        networks: dict[str, torch.nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }
        if self.learned_light is not None:
            networks["light"] = self.learned_light
        for name, network in networks.items():
            check_weights(name, state.get(name), network)
        optimizers = {
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        moments = {
            name: checked_optimizer_state(
                name, state.get(name), optimizer, is_stepped=step_index > 0
            )
            for name, optimizer in optimizers.items()
        }
        if state["images"] != self.images.fingerprint:
            raise DataError(
                "the run was started on other images (their cameras differ); use the same data "
                "or another run folder"
            )
        if state.get("features", self._features) != self._features:
            raise ModelError(
                "the run was started with other weights of the frozen network than those of "
                f"discriminator.features ({self.config.discriminator.features}); give the path of "
                "the same ones, or use another run folder"
            )
        for name, network in networks.items():
            network.load_state_dict(state[name])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(moments[name])
        self.step_index = step_index

    def fields_in_state(self, state: dict[str, Any]) -> set[str]:
        """Return the config fields that may differ on resuming.

        Args:
            state: State from `state_dict`.

        Returns:
            The frozen weights' path, if the state has their fingerprint: the file may be moved.
        """
        return {"discriminator.features"} if self._features and "features" in state else set()

    # -- generator ---------------------------------------------------------------------------------

    @property
    def light(self) -> Light | LearnedLight | None:
        """Light on generated shapes; None where the colour field contains the light."""
        return self.images.light if self.config.rendering.light == "data" else self.learned_light

    @property
    def image_size(self) -> int:
        """Width and height of the images of the next step, in pixels."""
        return self.config.image_size(self.seen_images)

    def _train_generator(
        self, chunks: Sequence[Chunk], real: Sequence[RealImages]
    ) -> tuple[list[ImageBatch], list[Features], dict[str, Tensor]]:
        """Do one optimiser step of the generator.

        Returns:
            The generated images without a graph, their frozen features, and scalars.
        """
        self.generator_optimizer.zero_grad(set_to_none=True)
        kept, features, scalars, w_geo, w_tex = [], [], [], [], []
        for chunk, partners in zip(chunks, real, strict=True):
            generated = self._generate(Purpose.GENERATOR, chunk)
            step = generator_step(
                partial(self._adversarial_gradient, partners),
                generated,
                self.config.loss,
                weight=1 / len(chunks),
            )
            _require_finite("generator loss", step.loss)
            kept.append(generated.batch.detach())
            features.append(step.features if self.config.schedule.reuse_fakes else ())
            scalars.append(step.scalars)
            w_geo.append(generated.styles.geo[:, 0].detach().mean(0))
            w_tex.append(generated.styles.tex[:, 0].detach().mean(0))
        means = _mean_scalars(scalars)
        parameters = self.generator_optimizer.param_groups[0]["params"]
        replicas.mean_gradients(parameters)
        means["generator/grad_norm"] = _grad_norm("generator", self.generator)
        if self.learned_light is not None:
            _grad_norm("learned light", self.learned_light)  # its optimiser is the generator's
        w = replicas.mean_tensors([torch.stack(w_geo).mean(0), torch.stack(w_tex).mean(0)])
        self.generator.update_w_avg(Styles(w[0][None, None], w[1][None, None]))
        self.generator_optimizer.step()
        return kept, features, means

    def _adversarial_gradient(self, real: RealImages, batch: ImageBatch) -> GeneratorLoss:
        """Compute the adversarial loss of generated images; real ones as far as it needs them."""
        if self.config.loss.adversarial == "logistic":
            return self._adversarial(batch)
        return self._adversarial(batch, self._to_batch(real))

    def _generate(self, purpose: Purpose, chunk: Chunk) -> GeneratedBatch:
        """Sample latent codes and cameras and render them."""
        seed = derive_seed(self.config.schedule.seed, purpose)
        cameras = self.samplers.cameras(seed, chunk.images).to(self.device)
        styles = self._sample_styles(seed, chunk.shapes)
        fields = self.generator.fields(styles)
        surface = self.generator.extract(fields, for_training=True)
        images = self.generator.render(
            fields,
            surface.meshes,
            cameras,
            self.image_size,
            config=self.config.rendering,
            light=self.light,
        )
        label = None
        if self.samplers.labels is not None:
            views = self.config.schedule.views_per_shape
            label = self.samplers.labels(seed, chunk.shapes).to(self.device)
            label = label.repeat_interleave(views)
        condition = Condition(camera_angles(cameras), label)
        return GeneratedBatch(ImageBatch(images, condition), styles, surface)

    def _sample_styles(self, seed: int, shapes: Int[Tensor, " shapes"]) -> Styles:
        """Sample styles of shapes, with style mixing."""
        other_seed = derive_seed(seed, Purpose.STYLE_MIXING)
        z = torch.cat([self.samplers.latents(each, shapes) for each in (seed, other_seed)])
        z = z.to(self.device)
        both = self.generator.map(z[:, 0], z[:, 1])
        geo, tex = both.geo.chunk(2), both.tex.chunk(2)
        geo_from, tex_from = (
            sample_crossovers(
                derive_seed(seed, Purpose.CROSSOVER, kind),
                shapes,
                styles[0].shape[1],
                probability=self.config.schedule.style_mixing,
            )
            for kind, styles in enumerate((geo, tex))
        )
        return cross_styles(
            Styles(geo[0], tex[0]), Styles(geo[1], tex[1]), geo_from=geo_from, tex_from=tex_from
        )

    # -- discriminators ----------------------------------------------------------------------------

    def _read(self, chunk: Chunk) -> RealImages:
        """Read the real images of a chunk."""
        schedule = self.config.schedule
        return read_images(
            self.images, chunk.images, seed=schedule.seed, is_mirrored=schedule.mirror
        )

    def _train_discriminator(
        self,
        generated: Sequence[ImageBatch],
        features: Sequence[Features],
        real: Sequence[RealImages],
    ) -> dict[str, Tensor]:
        """Do one optimiser step of the discriminators on generated and real images."""
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        batches = zip(generated, map(self._to_batch, real), features, strict=True)
        losses = [self._discriminator_step(fake, true, known) for fake, true, known in batches]
        scalars = [
            each.terms.named("discriminator/{}_loss") | each.logits.named("real/{}_logit")
            for each in losses
            if each.logits is not None
        ]
        norm = self._update_discriminator("discriminator", losses)
        return _mean_scalars(scalars) | {"discriminator/grad_norm": norm}

    def _regularize_discriminator(
        self, generated: Sequence[ImageBatch], real: Sequence[RealImages]
    ) -> dict[str, Tensor]:
        """Do one optimiser step of the discriminators on R1 (and R2) alone, lazily."""
        loss_config = self.config.loss
        if loss_config.r1_gamma == 0 and loss_config.r1_gamma_mask == 0:
            return {}
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        fakes = generated if loss_config.r2 else [None] * len(real)
        batches = zip(map(self._to_batch, real), fakes, strict=True)
        losses = [
            self._r1_step(true) if fake is None else self._r1_step(true, fake)
            for true, fake in batches
        ]
        self._update_discriminator("R1", losses)
        return _mean_scalars([each.terms.named("discriminator/{}_r1") for each in losses])

    def _update_discriminator(self, name: str, losses: Sequence[DiscriminatorLoss]) -> Tensor:
        """Do an optimiser step with the accumulated gradients; returns their norm."""
        _require_finite(f"{name} loss", torch.stack([each.total for each in losses]).mean())
        replicas.mean_gradients(trained_parameters(self.discriminator))
        norm = _grad_norm(name, self.discriminator)
        self.discriminator_optimizer.step()
        return norm

    def _to_batch(self, real: RealImages) -> ImageBatch:
        """Convert real images to the input of the discriminators."""
        is_binary = self.config.loss.real_mask == "binary"
        return real.to_batch(self.device, image_size=self.image_size, is_binary=is_binary)

    # -- both --------------------------------------------------------------------------------------

    def _chunks(self, step: int) -> list[Chunk]:
        """Return the chunks of a step's batch in this process."""
        schedule = self.config.schedule
        chunks = batch_chunks(
            step,
            batch_size=schedule.batch_size,
            views_per_shape=schedule.views_per_shape,
            num_chunks=schedule.grad_accumulation_steps,
            num_replicas=replicas.count(),
        )
        return chunks[replicas.index()]

    def _record_steps(self) -> None:
        """Record the discriminators' steps again when the resolution has changed."""
        if self._recorded_size == self.image_size:
            return
        weight = 1 / self.config.schedule.grad_accumulation_steps
        discriminator, loss, device = self.discriminator, self.config.loss, self.device
        parameters = trained_parameters(discriminator)
        self._adversarial = recorded(
            partial(adversarial_gradient, discriminator, config=loss), device
        )
        self._discriminator_step = recorded(
            partial(discriminator_step, discriminator, config=loss, weight=weight),
            device,
            parameters=parameters,
        )
        self._r1_step = recorded(
            partial(r1_step, discriminator, config=loss, weight=weight),
            device,
            parameters=parameters,
        )
        self._recorded_size = self.image_size

    def _set_learning_rates(self) -> None:
        """Set the learning rates of the next step."""
        progress = min(self.seen_images / self.config.schedule.total_images, 1.0)
        factor = 1.0 + (self.config.optimizer.final_lr_factor - 1.0) * progress
        optimizers = (self.generator_optimizer, self.discriminator_optimizer)
        for optimizer, rate in zip(optimizers, self._base_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor


def _check_images(config: RunConfig, images: TrainingImages) -> None:
    """Validate that images and config fit each other; raise ConfigError."""
    size = config.discriminator.image_size
    height, width = images.read(torch.zeros(1, dtype=torch.int64)).shape[-2:]
    if (height, width) != (size, size):
        raise ConfigError(
            f"discriminator.image_size is {size}, but the images are {width} x {height}"
        )
    if config.schedule.mirror:
        check_mirror(images.distribution)
    if config.rendering.light == "data" and images.light is None:
        raise ConfigError(
            'rendering.light is "data", but nothing says how the data set was lit (only '
            '`get3d render` writes that); use rendering.light "learned" or "none"'
        )


def _require_finite(name: str, value: Tensor) -> None:
    """Validate a loss or norm, in all processes alike; raise NonFiniteError."""
    if replicas.any_true(~torch.isfinite(value)):
        raise NonFiniteError(f"{name} is {value.item()}")


def _grad_norm(name: str, module: torch.nn.Module) -> Tensor:
    """Compute the norm of all gradients of a module; raise NonFiniteError if it is not finite."""
    norm = torch.nn.utils.get_total_norm(
        [p.grad for p in module.parameters() if p.grad is not None]
    )
    _require_finite(f"{name} gradient norm", norm)
    return norm


def _mean_scalars(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Average the scalars of chunks by name."""
    return {key: torch.stack([part[key] for part in parts]).mean() for key in parts[0]}
