"""The loop around the training step: the run folder, logs, samples, checkpoints and signals.

A run folder holds `config.yaml` (resolved), `log.csv`, `tensorboard/`, `samples/*.png`,
`checkpoints/*.pt` and whatever the caller writes at every checkpoint (the command line: a model
folder). Killed at any moment, it continues from its newest checkpoint.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
import yaml

from get3d.core import (
    contact_sheet,
    from_dict,
    images_to_u8,
    remove_leftovers,
    save_png,
    to_dict,
    write_text,
)
from get3d.models import Generator
from get3d.training.checkpoints import list_checkpoints, load_checkpoint, save_checkpoint
from get3d.training.config import RunConfig
from get3d.training.images import TrainingImages
from get3d.training.logs import RunLog
from get3d.training.samples import render_samples
from get3d.training.trainer import NonFiniteError, Trainer

logger = logging.getLogger(__name__)

# What may change between two sessions of one run (the length, the bookkeeping, and the remedies for
# an unstable run); everything else makes it another run.
_FREE_FIELDS = {
    "total_images",
    "log_every_images",
    "sample_every_images",
    "checkpoint_every_images",
    "keep_checkpoints",
    "generator_lr",
    "discriminator_lr",
    "final_lr_factor",
    "r1_gamma",
    "r1_gamma_mask",
}


class TrainingRun:
    """One run folder and the trainer that fills it."""

    def __init__(
        self,
        config: RunConfig,
        images: TrainingImages,
        folder: Path,
        *,
        device: torch.device | str = "cpu",
        on_checkpoint: Callable[[Generator, int], None] | None = None,
    ) -> None:
        """Start a run, or take up the one the folder holds.

        Args:
            config: Networks, losses, optimisers and schedule.
            images: The real pictures.
            folder: Made if absent; its newest checkpoint is resumed.
            device: Where to compute.
            on_checkpoint: Called with the averaged generator and the images seen, after a
                checkpoint was written.

        Raises:
            ValueError: If the folder's checkpoint is damaged or of a run with another config.
        """
        self.config = config
        self.folder = folder
        self._on_checkpoint = on_checkpoint
        self._config_dict = to_dict(config)
        self._stop_requested = False
        self._saved_images = -1
        self.trainer = Trainer(config, images, device=device)
        checkpoints = list_checkpoints(self._checkpoint_folder)
        self.is_resumed = bool(checkpoints)
        if checkpoints:
            self._resume(checkpoints[-1])
        else:
            _refuse_foreign_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        remove_leftovers(self._checkpoint_folder)
        write_text(folder / "config.yaml", yaml.safe_dump(self._config_dict, sort_keys=False))

    @property
    def _checkpoint_folder(self) -> Path:
        return self.folder / "checkpoints"

    def train(self, *, on_step: Callable[[Trainer, dict[str, float]], None] | None = None) -> bool:
        """Train until the schedule is finished or a signal asks to stop; then save.

        Args:
            on_step: Called after each step with the newest logged scalars, for a progress bar.

        Returns:
            Whether the schedule was finished.

        Raises:
            NonFiniteError: If a loss became NaN or infinite; the message names the last checkpoint.
        """
        trainer = self.trainer
        with (
            _signals_as_request(self._request_stop),
            RunLog(self.folder, resume_images=trainer.seen_images) as log,
        ):
            if not self.is_resumed:
                self._save()  # so that there is always a checkpoint from before
                self._draw_samples()
            meter = _Meter(trainer.seen_images)
            while not trainer.is_finished and not self._stop_requested:
                before = trainer.seen_images
                meter.add(self._step())
                if self._is_due(before, self.config.schedule.log_every_images):
                    log.write(trainer.seen_images, meter.flush(trainer.seen_images))
                if on_step is not None:
                    on_step(trainer, meter.last)
                if self._is_due(before, self.config.schedule.sample_every_images):
                    self._draw_samples()
                if self._is_due(before, self.config.schedule.checkpoint_every_images):
                    self._save()
            if trainer.is_finished and meter.has_steps:  # a short run has this line at least
                log.write(trainer.seen_images, meter.flush(trainer.seen_images))
            if self._saved_images != trainer.seen_images:
                self._save()
                self._draw_samples()
        return trainer.is_finished

    def _step(self) -> dict[str, torch.Tensor]:
        try:
            return self.trainer.step()
        except NonFiniteError as error:
            last = list_checkpoints(self._checkpoint_folder)[-1]
            raise NonFiniteError(
                f"{error} at {self.trainer.seen_images} images: training stopped; the last good "
                f"state is {last}. Lower the learning rates or raise r1_gamma, and start again"
            ) from error

    def _is_due(self, before: int, interval: int) -> bool:
        return before // interval != self.trainer.seen_images // interval

    def _request_stop(self) -> None:
        self._stop_requested = True

    def _resume(self, path: Path) -> None:
        content = load_checkpoint(path)
        try:  # through the dataclass, so that options newer than the checkpoint have their defaults
            saved_config = to_dict(from_dict(RunConfig, content["config"]))
        except ValueError as error:
            raise ValueError(
                f"{path} has a config that this get3d does not know: {error}"
            ) from error
        changed = _changed_fields(saved_config, self._config_dict)
        if "features" in content["state"] and self.config.discriminator.features != "none":
            # The file may lie elsewhere now; the state says whether it holds the same weights.
            changed = [name for name in changed if name != "discriminator.features"]
        if changed:
            raise ValueError(
                f"{path} is of a run with another config ({', '.join(changed)}); use the same "
                "config or another run folder"
            )
        try:
            self.trainer.load_state_dict(content["state"])
        except (RuntimeError, KeyError) as error:
            raise ValueError(f"{path} does not fit the networks of this config") from error
        logger.info("resumed %s", path)

    def _save(self) -> None:
        path = save_checkpoint(
            self._checkpoint_folder,
            self.trainer.state_dict(),
            seen_images=self.trainer.seen_images,
            config=self._config_dict,
            keep=self.config.schedule.keep_checkpoints,
        )
        self._saved_images = self.trainer.seen_images
        logger.info("saved %s", path)
        if self._on_checkpoint is not None:
            self._on_checkpoint(self.trainer.average, self.trainer.seen_images)

    def _draw_samples(self) -> None:
        trainer = self.trainer
        pictures = render_samples(
            trainer.average,
            trainer.images.distribution,
            image_size=self.config.discriminator.image_size,
            imaging=self.config.imaging,
            light=self.trainer.light,
            seed=self.config.schedule.seed,
        )
        sheet = contact_sheet(images_to_u8(pictures[:, :3]), columns=8)
        save_png(self.folder / "samples" / f"images-{trainer.seen_images:09d}.png", sheet)


class _Meter:
    """Averages scalars between two log rows and measures the speed."""

    def __init__(self, seen_images: int) -> None:
        self.last: dict[str, float] = {}
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self._since_images = seen_images
        self._since_s = time.perf_counter()

    def add(self, scalars: dict[str, torch.Tensor]) -> None:
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def has_steps(self) -> bool:
        """Whether anything was added since the last flush."""
        return bool(self._sums)

    def flush(self, seen_images: int) -> dict[str, float]:
        now_s = time.perf_counter()
        self.last = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self.last["images_per_s"] = (seen_images - self._since_images) / (now_s - self._since_s)
        self._sums, self._counts = {}, {}
        self._since_images, self._since_s = seen_images, now_s
        return self.last


def _refuse_foreign_folder(folder: Path) -> None:
    """Refuse to write into the folder of something else, such as a data set or a model."""
    path = folder / "config.yaml"
    if not path.exists():
        others = [entry.name for entry in folder.glob("*") if not entry.name.startswith(".")]
        if others:
            raise ValueError(
                f"{folder} holds other things ({min(others)}) and no training run; choose another "
                "run folder"
            )
        return
    try:
        from_dict(RunConfig, yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} is not of a training run and would be overwritten; choose another run folder"
        ) from error


def _changed_fields(old: object, new: object, path: str = "") -> list[str]:
    """Dotted names of config fields that differ, but for those that may."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        return [
            changed
            for name in names
            if name not in _FREE_FIELDS
            for changed in _changed_fields(
                old.get(name), new.get(name), f"{path}.{name}" if path else str(name)
            )
        ]
    return [] if old == new else [path]


@contextmanager
def _signals_as_request(request_stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) finish the step; a second one interrupts at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        logger.warning("stopping after this step (once more to stop at once, unsaved)")
        signal.signal(number, previous[signal.Signals(number)])
        request_stop()

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, handle)
    except ValueError:  # not in the main thread: signals are the caller's business
        logger.debug("signals are left alone outside the main thread")
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
