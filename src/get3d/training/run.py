"""The training loop: the run folder, its lock, log, samples, checkpoints and signals.

It does not depend on what is trained (`Stepper`).

A run folder holds `config.yaml` (resolved), `log.csv`, `tensorboard/`, `samples/*.png`,
`checkpoints/*.pt` and whatever the caller writes with every sample and checkpoint (the command
line: a model folder). A killed run continues from its newest checkpoint.
"""

import dataclasses
import errno
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import yaml
from PIL.Image import Image
from torch import Tensor

from get3d.core import (
    ConfigError,
    Get3DError,
    ModelError,
    from_dict,
    is_out_of_memory,
    read_yaml,
    remove_leftovers,
    save_png,
    shorten,
    to_dict,
    write_text,
)
from get3d.core.files import locked_folder
from get3d.training.checkpoints import (
    DamagedCheckpointError,
    list_checkpoints,
    load_checkpoint,
    number_of,
    save_checkpoint,
)
from get3d.training.config import MAY_CHANGE
from get3d.training.logs import Meter, RunLog

logger = logging.getLogger(__name__)


class NonFiniteError(Get3DError, ArithmeticError):
    """A loss or gradient is NaN or infinite; no weight was changed by it."""


@runtime_checkable
class Stepper(Protocol):
    """State that a run changes step by step: networks in training, a fitted latent code, ..."""

    @property
    def seen_images(self) -> int:
        """Images seen so far: the number in names of samples and checkpoints and in the log."""

    @property
    def is_finished(self) -> bool:
        """Whether no steps are left."""

    def step(self) -> dict[str, Tensor]:
        """Do one step; returns scalars to log. Raises NonFiniteError, without a change."""

    def draw_samples(self) -> Image:
        """Render the sample image."""

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state: tensors and plain values only."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""

    def fields_in_state(self, state: dict[str, Any]) -> set[str]:
        """Return the config fields that may differ on resuming, as the state has their values."""


@runtime_checkable
class RunSchedule(Protocol):
    """Intervals at which a run writes, counted in images as `Stepper.seen_images`."""

    @property
    def log_every_images(self) -> int:
        """Images between two rows of the log."""

    @property
    def sample_every_images(self) -> int:
        """Images between two sample images."""

    @property
    def checkpoint_every_images(self) -> int:
        """Images between two checkpoints."""

    @property
    def keep_checkpoints(self) -> int:
        """Number of newest checkpoints to keep."""


S = TypeVar("S", bound=Stepper)


class Run(Generic[S]):
    """A run folder and its stepper.

    Attributes:
        stepper: State that the run changes.
        folder: The run folder.
        config: Config of the run.
        schedule: Intervals at which the run writes.
        is_resumed: Whether the run continues from a checkpoint of the folder.
        stop_signal: Number of the signal that stopped `train`, if one did.
    """

    def __init__(
        self,
        stepper: S,
        folder: Path,
        *,
        config: Any,
        schedule: RunSchedule,
        on_output: Callable[[int], None] | None = None,
    ) -> None:
        """Begin a run, or resume the one in the folder.

        Args:
            stepper: Initial state; the newest checkpoint of the folder is loaded into it.
            folder: Run folder; made by `train` if absent.
            config: Dataclass that identifies the run; only fields with the metadata `MAY_CHANGE`
                may differ on resuming.
            schedule: Intervals at which the run writes.
            on_output: Called with the images seen, after a sample image or a checkpoint.

        Raises:
            ModelError: If all checkpoints of the folder are damaged, or the newest one that is not
                is of another version of get3d. Damaged ones are logged, and renamed by `train`.
            ConfigError: If it is of a run with another config, or the folder is not a run folder.
        """
        self.stepper = stepper
        self.folder = folder
        self.config = config
        self.schedule = schedule
        self._on_output = on_output
        self._config_dict = to_dict(config)
        self._stop_requested = False
        self.stop_signal: int | None = None
        self._saved_images = -1
        self._damaged: list[Path] = []
        self._newest = list_checkpoints(self._checkpoint_folder)[-1:]
        self.is_resumed = bool(self._newest)
        if self.is_resumed:
            self._resume_newest()
        else:
            _check_folder(folder, type(config))

    @property
    def _checkpoint_folder(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    def train(self, *, on_step: Callable[[S, dict[str, float]], None] | None = None) -> bool:
        """Step until the stepper is finished or a signal arrives; then save.

        Args:
            on_step: Called after each step with the newest logged scalars, for a progress bar.

        Returns:
            Whether the stepper is finished.

        Raises:
            NonFiniteError: From the stepper; the message names the last checkpoint.
            BlockingIOError: If another process trains in the folder, or has done so meanwhile.
        """
        stepper, every = self.stepper, self.schedule
        with (
            self._exclusive_folder(),
            _signals_as_request(self.stop),
            RunLog(self.folder, resume_images=stepper.seen_images) as log,
        ):
            config_yaml = yaml.safe_dump(self._config_dict, sort_keys=False)
            write_text(self.folder / "config.yaml", config_yaml)
            if not self.is_resumed:
                self._write(log)  # so that there is always an earlier checkpoint
            meter = Meter(stepper.seen_images)
            while not stepper.is_finished and not self._stop_requested:
                before = stepper.seen_images
                meter.add(self._step())
                if self._is_due(before, every.log_every_images):
                    log.write(stepper.seen_images, meter.flush(stepper.seen_images))
                if on_step is not None:
                    on_step(stepper, meter.last)
                self._write(
                    log,
                    samples=self._is_due(before, every.sample_every_images),
                    checkpoint=self._is_due(before, every.checkpoint_every_images),
                )
            if stepper.is_finished and meter.has_steps:  # even a short run has a row
                log.write(stepper.seen_images, meter.flush(stepper.seen_images))
            if self._saved_images != stepper.seen_images:
                self._write(log)
        return stepper.is_finished

    def stop(self, signal_number: int | None = None) -> None:
        """Make `train` save and return after the current step.

        Args:
            signal_number: The signal that requested it, for `stop_signal`.
        """
        self._stop_requested = True
        self.stop_signal = signal_number

    def _step(self) -> dict[str, Tensor]:
        """Do one step; a NonFiniteError gets the last checkpoint and a suggested fix."""
        try:
            return self.stepper.step()
        except NonFiniteError as error:
            last = list_checkpoints(self._checkpoint_folder)[-1]
            raise NonFiniteError(
                f"{error} at {self.stepper.seen_images} images: training stopped; the last good "
                f"state is {last}. Lower the learning rates or raise r1_gamma, and start again"
            ) from error

    def _is_due(self, before: int, interval: int) -> bool:
        """Return whether the last step passed a multiple of an interval."""
        return before // interval != self.stepper.seen_images // interval

    def _resume_newest(self) -> None:
        """Load the newest checkpoint that is not damaged; raise ModelError if all are."""
        checkpoints = list_checkpoints(self._checkpoint_folder)
        reasons = []
        for path in reversed(checkpoints):
            try:
                self._resume(path)
            except DamagedCheckpointError as error:
                self._damaged.append(path)
                reasons.append(str(error))
                continue
            for reason in reasons:
                logger.warning("%s", reason)
            if reasons:
                logger.warning("the run goes on from %s, the one before", path)
            logger.info("resumed %s", path)
            return
        raise ModelError(
            f"{reasons[0]}; no other checkpoint of {self.folder} can be read, so take another run "
            "folder, or delete its checkpoints to begin again"
        )

    def _resume(self, path: Path) -> None:
        """Load a checkpoint into the stepper.

        Raises DamagedCheckpointError, or another error of one line if run and checkpoint differ.
        """
        content = load_checkpoint(path)
        try:  # through the dataclass, so that options newer than the checkpoint have their defaults
            saved = from_dict(type(self.config), content["config"])
        except ConfigError as error:
            raise ModelError(
                f"{path} has a config that this get3d does not know: {error}"
            ) from error
        state = content["state"]
        if not isinstance(state, dict):
            raise DamagedCheckpointError(f"{path} is damaged: it has no training state")
        may_differ = self.stepper.fields_in_state(state)
        changed = [
            f"{name}: {shorten(before)}, now {shorten(after)}"
            for name, (before, after) in changed_fields(saved, self.config).items()
            if name not in may_differ
        ]
        if changed:
            raise ConfigError(
                f"{path} is of a run with another config ({'; '.join(changed)}); use the same "
                "config or another run folder"
            )
        try:
            self.stepper.load_state_dict(state)
        except DamagedCheckpointError as error:
            raise DamagedCheckpointError(f"{path} is damaged: {error}") from error
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            if is_out_of_memory(error):
                raise
            raise DamagedCheckpointError(
                f"{path} is damaged: it does not fit the networks of this config"
            ) from error
        if self.stepper.seen_images != number_of(path):
            raise DamagedCheckpointError(
                f"{path} is damaged: it holds the state after {self.stepper.seen_images} images"
            )

    @contextmanager
    def _exclusive_folder(self) -> Iterator[None]:
        """Lock the folder, and put aside what killed runs and damage left in it."""
        with locked_folder(self.folder):
            if list_checkpoints(self._checkpoint_folder)[-1:] != self._newest:
                raise BlockingIOError(
                    errno.EWOULDBLOCK,
                    "another process has trained in this folder; give the same command again",
                    str(self.folder),
                )
            remove_leftovers(self.folder)
            remove_leftovers(self._checkpoint_folder)
            while self._damaged:
                path = self._damaged.pop()
                path.replace(path.with_name(f"{path.name}.damaged"))
            yield

    def _write(self, log: RunLog, *, samples: bool = True, checkpoint: bool = True) -> None:
        """Write the sample image, a checkpoint or both, and call `on_output` once."""
        if checkpoint:
            self._save()
        if samples:
            self._draw_samples(log)
        if self._on_output is not None and (samples or checkpoint):
            self._on_output(self.stepper.seen_images)

    def _save(self) -> None:
        """Write a checkpoint."""
        path = save_checkpoint(
            self._checkpoint_folder,
            self.stepper.state_dict(),
            seen_images=self.stepper.seen_images,
            config=self._config_dict,
            keep=self.schedule.keep_checkpoints,
        )
        self._saved_images = self.stepper.seen_images
        self._newest = [path]
        logger.info("saved %s", path)

    def _draw_samples(self, log: RunLog) -> None:
        """Write the sample image, to the folder and to TensorBoard."""
        path = self.folder / "samples" / f"images-{self.stepper.seen_images:09d}.png"
        image = self.stepper.draw_samples()
        save_png(path, image)
        log.write_image(self.stepper.seen_images, image)


def _check_folder(folder: Path, config_type: type) -> None:
    """Validate that a folder is empty or a run folder; raise ConfigError."""
    path = folder / "config.yaml"
    if not path.exists():
        others = [entry.name for entry in folder.glob("*") if not entry.name.startswith(".")]
        if others:
            raise ConfigError(
                f"{folder} holds other things ({min(others)}) and no training run; choose another "
                "run folder"
            )
        return
    try:
        from_dict(config_type, read_yaml(path))
    except ConfigError as error:
        raise ConfigError(
            f"{path} is not of a training run and would be overwritten; choose another run folder"
        ) from error


def changed_fields(old: Any, new: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """List the fields in which two configs differ, except those that may change.

    Args:
        old: Dataclass of dataclasses and plain values.
        new: Dataclass of the same type.
        prefix: Prefix of the names.

    Returns:
        Both values by dotted name.
    """
    changed: dict[str, tuple[Any, Any]] = {}
    for field in dataclasses.fields(old):
        before, after, name = getattr(old, field.name), getattr(new, field.name), field.name
        if dataclasses.is_dataclass(before):
            changed |= changed_fields(before, after, f"{prefix}{name}.")
        elif before != after and not field.metadata.get(MAY_CHANGE):
            changed[f"{prefix}{name}"] = before, after
    return changed


@contextmanager
def _signals_as_request(request_stop: Callable[[int], None]) -> Iterator[None]:
    """Handle the first Ctrl-C (or SIGTERM) by a request to stop; a second one interrupts."""

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        logger.warning("stopping after this step (once more to stop at once, unsaved)")
        signal.signal(number, previous[signal.Signals(number)])
        request_stop(number)

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, handle)
    except ValueError:  # not in the main thread, where the caller handles signals
        logger.debug("signals are left alone outside the main thread")
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
