"""`get3d train`: train a generator from images."""

import re
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import tyro
from jaxtyping import Int, UInt8
from torch import Tensor

from get3d.apps import Model, ModelInfo, save_model
from get3d.apps.model_folder import read_info
from get3d.apps.run_folder import read_run_data, write_run_data
from get3d.cli import flags
from get3d.cli.device import pick_device
from get3d.cli.errors import one_line
from get3d.cli.memory import explain_out_of_memory
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.config import load_config
from get3d.core import ConfigError, DataError, ModelError, from_dict, to_dict
from get3d.core.config_io import former_names
from get3d.data import ImageDataset, open_dataset, training_warnings, validate_dataset
from get3d.geometry import camera_angles
from get3d.render import Light
from get3d.training import Run, RunConfig, Trainer, TrainingImages

MEMORY_BYTES = 4 << 30
"""Data sets larger than this are read from disk, batch by batch."""


@dataclass(frozen=True)
class TrainArgs:
    """Train a generator of textured shapes from images with masks and cameras.

    The run folder, --out, holds the resolved config, logs, sample images, checkpoints, and in
    `model/` a model for `get3d generate`. Ctrl-C saves; `get3d train --resume RUN` or the same
    command resumes where it stopped.
    """

    config: tyro.conf.Positional[str]
    """A YAML file, or a preset's name such as tiny-64; flags below override single values."""

    data: Path
    """Data set: from `get3d render`, in the published layout, or NeRF transforms.json folders."""

    out: Annotated[Path, flags.OUT]

    device: Annotated[str, flags.DEVICE] = "auto"

    settings: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)


def run(args: list[str]) -> int:
    """Run `get3d train`.

    Args:
        args: Command line after `get3d train`.

    Returns:
        Exit code: 0 finished, 128 and the signal's number if one stopped it (130 for Ctrl-C;
        everything is saved), 2 the command line was not understood.
    """
    args = _of_resumed_run(args)
    is_config_first = bool(args) and not args[0].startswith("-")
    message = None
    if args and not is_config_first and not {"-h", "--help"} & set(args):
        # Its values are the defaults of all flags, so it is read before them.
        message = (
            "the configuration comes first: get3d train CONFIG --data DATA --out RUN, or get3d "
            "train --resume RUN"
        )
    if message := message or _renamed_flag(args):
        print(f"get3d train: {message} (see get3d train --help)", file=sys.stderr)
        return 2
    preset = load_config(args[0]) if is_config_first else RunConfig()

    @dataclass(frozen=True)
    class Args(TrainArgs):
        __doc__ = TrainArgs.__doc__
        settings: Annotated[RunConfig, tyro.conf.arg(name="")] = preset

    parsed = parse(Args, "train", args)
    device = pick_device(parsed.device)
    torch.set_float32_matmul_precision("high")  # TF32 where a GPU has it, as convolutions do
    config = from_dict(RunConfig, to_dict(parsed.settings))  # validates flags as strictly as YAML
    dataset = open_dataset(parsed.data).split("train")
    if not (parsed.out / "checkpoints").is_dir():  # a run that goes on was checked at its start
        _check_data(parsed.data)
    images = read_training_images(dataset, config.discriminator.image_size)
    for text in training_warnings(parsed.data, scale=config.generator.scale):
        print(f"warning: {one_line(text)}")
    print(f"{len(images)} images of {parsed.data}, training on {device}")

    def save(seen_images: int) -> None:
        about = f"{seen_images} images of {parsed.data}"
        info = ModelInfo(
            name=parsed.out.resolve().name,
            description=about,
            is_unlit=config.rendering.light != "none",
            seen_images=seen_images,
            saved_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        )
        folder = parsed.out / "model"
        write_run_data(parsed.out, parsed.data)
        save_model(Model(trainer.average, info=_carry_over(folder, info)), folder)

    coarse, total = sum(config.schedule.coarse_images), config.schedule.total_images
    if coarse >= total:
        print(
            f"note: schedule.coarse_images ({coarse} in all) leave nothing of "
            f"schedule.total_images ({total}) to the full resolution"
        )
    with explain_out_of_memory(args[0], config, device, parsed.out):
        trainer = Trainer(config, images, device=device)
        training = Run(trainer, parsed.out, config=config, schedule=config.schedule, on_output=save)
        if training.is_resumed:
            print(f"goes on at {trainer.seen_images} images")
        is_finished = _train_with_bar(training)
    seen_images = trainer.seen_images
    if is_finished:
        print(f"finished: {seen_images} images. Next: get3d generate {parsed.out} --out shapes")
    else:
        print(
            f"stopped and saved at {seen_images} images; get3d train --resume {parsed.out} goes on"
        )
    return 0 if is_finished else 128 + (training.stop_signal or signal.SIGINT)


def _of_resumed_run(args: list[str]) -> list[str]:
    """Replace `--resume RUN` by the config, data and folder of the run.

    Raises:
        FileNotFoundError: If there is no such run.
        ConfigError: If its data are not known, and not named.
    """
    flag = next((arg for arg in args if arg.split("=")[0] == "--resume"), None)
    if flag is None:
        return args
    index = args.index(flag)
    rest = args[:index] + args[index + 1 :]
    if "=" in flag:
        run = flag.partition("=")[2]
    elif index < len(rest) and not rest[index].startswith("-"):
        run = rest.pop(index)
    else:
        raise ConfigError("--resume needs a run folder: get3d train --resume RUN")
    if not (Path(run) / "config.yaml").is_file():
        raise FileNotFoundError(f"{run}: no training run to resume; it has no config.yaml")
    flags = {arg.split("=")[0] for arg in rest}
    if "--out" in flags or (rest and not rest[0].startswith("-")):
        raise ConfigError("--resume names run folder and config; leave --out and CONFIG out")
    data = [] if "--data" in flags else [str(read_run_data(run) or "")]
    if data == [""]:
        raise ConfigError(f"{run} does not say what it was trained on; name the data with --data")
    return [
        str(Path(run) / "config.yaml"),
        *(["--data", *data] if data else []),
        "--out",
        run,
        *rest,
    ]


def _renamed_flag(args: list[str]) -> str | None:
    """Say what a flag is called now, if one has a former name."""
    renamed = {
        f"--{former}".replace("_", "-"): f"--{name}".replace("_", "-")
        for former, name in former_names(RunConfig).items()
    }
    for arg in args:
        name = arg.split("=")[0].replace("_", "-")
        for former, now in renamed.items():
            if name == former or name.startswith(f"{former}."):
                return f"{name} is now {name.replace(former, now, 1)}"
    return None


def _check_data(path: Path) -> None:
    """Raise DataError if `get3d validate` finds an error in a data set."""
    with progress_bar("images checked") as progress:
        task = progress.add_task("", total=None)
        report = validate_dataset(
            path,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if report.errors:
        raise DataError(
            f"{report.errors[0]} ({len(report.errors)} errors in get3d validate {path})"
        )


def _carry_over(folder: Path, info: ModelInfo) -> ModelInfo:
    """Keep what a user wrote into the config of the last model, such as a licence."""
    try:
        former = read_info(folder)
    except FileNotFoundError:
        return info
    except ModelError as error:
        print(f"note: {error}; the next model has the licence {info.licence} again")
        return info
    # Of the run and its state, not of the user.
    former = replace(
        former, is_unlit=info.is_unlit, seen_images=info.seen_images, saved_at=info.saved_at
    )
    is_ours = re.fullmatch(r"\d+ images of .*", former.description, re.DOTALL)
    return replace(former, description=info.description) if is_ours else former


def _train_with_bar(training: Run[Trainer]) -> bool:
    """Train with a progress bar; return False if a signal stopped it."""
    with progress_bar("images") as progress:
        task = progress.add_task("", total=training.config.schedule.total_images)
        start_images, start_s = training.stepper.seen_images, time.perf_counter()

        def on_step(trainer: Trainer, scalars: dict[str, float]) -> None:
            # Until the first row of the log, the mean since the start.
            rate = (trainer.seen_images - start_images) / (time.perf_counter() - start_s)
            scalars = {"images_per_s": rate} | scalars
            text = " ".join(
                f"{label} {scalars[name]:.2f}"
                for label, name in (
                    ("images/s", "images_per_s"),
                    ("G", "generator/rgb_loss"),
                    ("D", "discriminator/rgb_loss"),
                )
                if name in scalars
            )
            progress.update(task, completed=trainer.seen_images, description=text)

        return training.train(on_step=on_step)


def read_training_images(dataset: ImageDataset, image_size: int) -> TrainingImages:
    """Load all images into memory if they fit `MEMORY_BYTES`, else read them batch by batch."""
    angles = camera_angles(dataset.cameras)

    def read(index: Int[Tensor, " n"]) -> UInt8[Tensor, "n 4 h w"]:
        return dataset.load_all(image_size=image_size, indices=index.tolist())

    light = {"studio": Light(), "none": Light.unlit()}.get(dataset.light or "")
    if len(dataset) * 4 * image_size**2 > MEMORY_BYTES:
        return TrainingImages(read, angles, dataset.distribution, light)
    rgba_u8 = dataset.load_all(image_size=image_size)
    return TrainingImages.in_memory(rgba_u8, angles, dataset.distribution, light)
