"""`get3d train`: train a generator from images."""

import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro
from jaxtyping import Int, UInt8
from torch import Tensor

from get3d.apps import Model, ModelInfo, save_model
from get3d.apps.model_folder import read_info
from get3d.cli.device import pick_device
from get3d.cli.memory import explain_out_of_memory
from get3d.cli.parsing import parse
from get3d.cli.progress import progress_bar
from get3d.config import load_config
from get3d.core import DataError, ModelError, from_dict, to_dict
from get3d.data import ImageDataset, open_dataset, validate_dataset
from get3d.geometry import camera_angles
from get3d.render import Light
from get3d.training import Run, RunConfig, Trainer, TrainingImages

MEMORY_BYTES = 4 << 30
"""Data sets larger than this are read from disk, batch by batch."""


@dataclass(frozen=True)
class TrainArgs:
    """Train a generator of textured shapes from images with masks and cameras.

    The run folder holds the resolved config, logs, sample images, checkpoints, and in `model/` a
    model for `get3d generate`. Ctrl-C saves; the same command resumes where it stopped.
    """

    config: tyro.conf.Positional[str]
    """A YAML file, or a preset's name such as tiny-64; flags below override single values."""

    data: Path
    """Data set: from `get3d render`, in the published layout, or NeRF transforms.json folders."""

    out: Path
    """Run folder."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, or one GPU such as cuda:1."""

    settings: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)


def run(args: list[str]) -> int:
    """Run `get3d train`.

    Args:
        args: Command line after `get3d train`.

    Returns:
        Exit code: 0 finished, 1 stopped before the end by a signal (everything is saved), 2 the
        configuration was not the first argument.
    """
    is_config_first = bool(args) and not args[0].startswith("-")
    if args and not is_config_first and not {"-h", "--help"} & set(args):
        # Its values are the defaults of all flags, so it is read before them.
        print(
            "get3d train: the configuration comes first: get3d train CONFIG --data DATA --out RUN "
            "(see get3d train --help)",
            file=sys.stderr,
        )
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
    print(f"{len(images)} images of {parsed.data}, training on {device}")

    def save(seen_images: int) -> None:
        about = f"{seen_images} images of {parsed.data}"
        info = ModelInfo(
            name=parsed.out.resolve().name,
            description=about,
            is_unlit=config.rendering.light != "none",
        )
        folder = parsed.out / "model"
        save_model(Model(trainer.average, info=_carry_over(folder, info)), folder)

    coarse, total = sum(config.schedule.coarse_images), config.schedule.total_images
    if coarse >= total:
        print(
            f"note: schedule.coarse_images ({coarse} in all) leave nothing of "
            f"schedule.total_images ({total}) to the full resolution"
        )
    with explain_out_of_memory(args[0], config, device, parsed.out):
        trainer = Trainer(config, images, device=device)
        training = Run(
            trainer, parsed.out, config=config, schedule=config.schedule, on_checkpoint=save
        )
        if training.is_resumed:
            print(f"goes on at {trainer.seen_images} images")
        is_finished = _train_with_bar(training)
    seen_images = trainer.seen_images
    if is_finished:
        print(f"finished: {seen_images} images. Next: get3d generate {parsed.out} --out shapes")
    else:
        print(f"stopped and saved at {seen_images} images; the same command goes on from here")
    return 0 if is_finished else 1


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
    """Keep what a user wrote into the config of the last checkpoint's model, such as a licence."""
    try:
        former = read_info(folder)
    except FileNotFoundError:
        return info
    except ModelError as error:
        print(f"note: {error}; the next model has the licence {info.licence} again")
        return info
    # From the run's config: folders of earlier versions of get3d do not have the value.
    former = replace(former, is_unlit=info.is_unlit)
    is_ours = re.fullmatch(r"\d+ images of .*", former.description, re.DOTALL)
    return replace(former, description=info.description) if is_ours else former


def _train_with_bar(training: Run[Trainer]) -> bool:
    """Train with a progress bar; return False if a signal stopped it."""
    with progress_bar("images") as progress:
        task = progress.add_task("", total=training.config.schedule.total_images)

        def on_step(trainer: Trainer, scalars: dict[str, float]) -> None:
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
