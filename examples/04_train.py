"""Train a generator on a data set, with the Python API.

The same as `get3d train tiny-64 --data DATA --out RUN`, in its parts: a configuration, the images,
the trainer (networks, optimisers, weight average) and the run (folder, log, checkpoints). With the
defaults it takes some seconds and learns next to nothing; raise `--total-images` to 100000 for a
real run of about an hour on two cores. Call it again with the same `--out` and it resumes.

    python examples/03_own_data.py && python examples/04_train.py
"""

from dataclasses import replace
from pathlib import Path

import tyro

import get3d
from get3d.config import load_config
from get3d.data import open_dataset
from get3d.geometry import camera_angles
from get3d.training import Run, Trainer, TrainingImages


def main(
    data: Path = Path("out/examples/data/images"),
    out: Path = Path("out/examples/run"),
    config: str = "tiny-64",
    total_images: int = 64,
    device: str = "cpu",
) -> None:
    """Write a run folder: config.yaml, log.csv, samples, checkpoints and model/.

    Args:
        data: Data set of `03_own_data.py` or `get3d render`.
        out: Run folder.
        config: Name of a preset or path of a YAML file.
        total_images: Real images to show; the run stops there.
        device: cpu or cuda.
    """
    settings = load_config(config)
    settings = replace(settings, schedule=replace(settings.schedule, total_images=total_images))
    dataset = open_dataset(data).split("train")
    images = TrainingImages.in_memory(
        dataset.load_all(image_size=settings.discriminator.image_size),
        camera_angles(dataset.cameras),
        dataset.distribution,  # cameras of generated images are drawn from it
    )
    trainer = Trainer(settings, images, device=device)

    def save_model(seen_images: int) -> None:
        info = get3d.ModelInfo(name=out.name, description=f"{seen_images} images of {data}")
        get3d.save_model(get3d.Model(trainer.average, info), out / "model")

    run = Run(trainer, out, config=settings, schedule=settings.schedule, on_output=save_model)
    run.train(on_step=lambda trainer, scalars: print(f"\r{trainer.seen_images} images", end=""))
    print(f"\nwrote {out}; look at {out / 'samples'} and {out / 'log.csv'}")


if __name__ == "__main__":
    tyro.cli(main)
