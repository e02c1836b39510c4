import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from get3d.core import ModelError, from_dict, to_dict
from get3d.models import load_feature_network
from get3d.render import Light
from get3d.training import NonFiniteError, Run, RunConfig
from get3d.training.checkpoints import list_checkpoints, load_checkpoint
from get3d.training.logs import RunLog
from get3d.training.run import changed_fields
from tests.training.conftest import disc_images, start_run, tiny_config


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """The folder of a run that trained to its end; tests get copies of it."""
    folder, seen = tmp_path_factory.mktemp("trained") / "run", []
    config = tiny_config()
    assert start_run(config, disc_images(), folder, on_output=seen.append).train()
    assert seen == [0, 8, 12, 16, 24]  # checkpoints and samples
    return folder


@pytest.fixture
def trained(tmp_path, trained_folder):
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_run_shorter_than_its_log_interval_has_a_line(tmp_path, config, images):
    schedule = replace(config.schedule, total_images=8, log_every_images=1000)
    run = start_run(replace(config, schedule=schedule), images, tmp_path)
    assert run.train()
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("8,")


def test_a_run_does_not_write_among_other_things(tmp_path, config, images):
    (tmp_path / "chair-000000.glb").write_text("a shape")
    with pytest.raises(
        ValueError, match=r"holds other things \(chair-000000.glb\) and no training"
    ):
        start_run(config, images, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["chair-000000.glb"]


def test_a_run_leaves_everything_a_user_needs(trained_folder):
    assert (trained_folder / "config.yaml").is_file()
    assert len((trained_folder / "log.csv").read_text().splitlines()) == 1 + 24 // 4
    names = sorted(path.name for path in (trained_folder / "samples").iterdir())
    assert names == [f"images-{count:09d}.png" for count in (0, 12, 24)]
    with Image.open(trained_folder / "samples" / names[-1]) as sheet:
        assert sheet.getextrema() != ((255, 255),) * 3
    assert len(list_checkpoints(trained_folder / "checkpoints")) == 4


def test_stop_and_resume_equals_an_unbroken_run(tmp_path, config, images, trained_folder):
    reference = load_checkpoint(list_checkpoints(trained_folder / "checkpoints")[-1])["state"]
    first = start_run(config, images, tmp_path / "parts")
    stopped = not first.train(
        on_step=lambda trainer, _: first.stop() if trainer.seen_images == 12 else None
    )
    assert stopped
    second = start_run(config, images, tmp_path / "parts")
    assert second.is_resumed
    assert second.stepper.seen_images == 12
    assert second.train()
    for name in ("generator", "discriminator", "average"):
        found = getattr(second.stepper, name).state_dict()
        assert found.keys() == reference[name].keys()
        assert all(torch.equal(found[key], value) for key, value in reference[name].items())


def test_ctrl_c_saves_and_gives_the_handler_back(tmp_path, config, images):
    before = signal.getsignal(signal.SIGINT)
    run = start_run(config, images, tmp_path)

    def interrupt(trainer, _):
        if trainer.seen_images == 8:
            signal.raise_signal(signal.SIGINT)

    assert not run.train(on_step=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert list_checkpoints(tmp_path / "checkpoints")[-1].name == "images-000000008.pt"


def _run_forever(folder, config, images):
    torch.set_num_threads(1)
    schedule = replace(config.schedule, total_images=10**9, checkpoint_every_images=4)
    start_run(replace(config, schedule=schedule), images, folder).train()


@pytest.mark.slow
def test_kill_9_continues(tmp_path, config, images):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run_forever, args=(tmp_path, config, images))
    process.start()
    deadline = time.monotonic() + 600
    while len(list_checkpoints(tmp_path / "checkpoints")) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    schedule = replace(config.schedule, total_images=10**9, checkpoint_every_images=4)
    run = start_run(replace(config, schedule=schedule), images, tmp_path)
    assert run.is_resumed
    start = run.stepper.seen_images
    assert start >= 8
    run.train(on_step=lambda *_: run.stop())
    assert run.stepper.seen_images == start + 4


def test_nan_names_the_last_checkpoint_which_is_finite(tmp_path, config, images):
    run = start_run(config, images, tmp_path)

    def poison(trainer, _):
        if trainer.seen_images == 12:
            with torch.no_grad():
                next(trainer.generator.parameters()).fill_(float("inf"))

    with pytest.raises(NonFiniteError, match=r"images-000000008\.pt"):
        run.train(on_step=poison)
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    state = load_checkpoint(last)["state"]
    assert all(tensor.isfinite().all() for tensor in state["generator"].values())


def test_other_config_in_the_same_folder_raises(tmp_path, config, images):
    start_run(config, images, tmp_path)._save()
    other = replace(config, loss=replace(config.loss, r1_interval=7))
    with pytest.raises(ValueError, match=r"another config \(loss.r1_interval: 2, now 7\)"):
        start_run(other, images, tmp_path)


def test_the_config_of_something_else_is_not_overwritten(tmp_path, config, images):
    path = tmp_path / "config.yaml"
    for content in ("format: 1\ngenerator: {}\n", "just words", "[", ""):
        path.write_text(content)
        with pytest.raises(ValueError, match="choose another run folder"):
            start_run(config, images, tmp_path)
        assert path.read_text() == content
    path.unlink()
    path.write_text(yaml.safe_dump(to_dict(config)))  # killed before its first checkpoint
    assert not start_run(config, images, tmp_path).is_resumed


def test_other_images_in_the_same_folder_raise(tmp_path, config, images):
    start_run(config, images, tmp_path)._save()
    other = replace(images, angles=images.angles + 0.1)
    with pytest.raises(ValueError, match="other images"):
        start_run(config, other, tmp_path)


def test_settings_that_stabilise_a_run_may_change(trained, config, images):
    calmer = replace(
        config,
        loss=replace(config.loss, r1_gamma=7.0),
        optimizer=replace(config.optimizer, generator_lr=1e-4),
        schedule=replace(config.schedule, total_images=28),
    )
    run = start_run(calmer, images, trained)
    assert run.train()
    assert run.stepper.generator_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_options_newer_than_the_checkpoint_have_their_defaults(tmp_path, config, images):
    start_run(config, images, tmp_path)._save()
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    content = load_checkpoint(last)
    del content["config"]["schedule"]["mirror"]
    torch.save(content, last)
    assert start_run(config, images, tmp_path).is_resumed
    content["config"]["schedule"]["of_tomorrow"] = 1
    torch.save(content, last)
    with pytest.raises(ValueError, match=r"unknown key schedule\.of_tomorrow"):
        start_run(config, images, tmp_path)


def test_a_run_from_before_the_newest_options_goes_on(trained, config, images):
    last = list_checkpoints(trained / "checkpoints")[-1]
    content = load_checkpoint(last)
    for section, *names in (
        ("generator", "sdf_base_limit"),
        ("discriminator", "features", "feature_image_size"),
        ("rendering", "light", "antialias_occlusions"),
        ("loss", "feature_weight"),
        ("schedule", "views_per_shape", "coarse_images"),
    ):
        for name in names:
            del content["config"][section][name]
    torch.save(content, last)
    old = from_dict(RunConfig, content["config"])
    assert old == config
    longer = replace(old, schedule=replace(old.schedule, total_images=28))
    run = start_run(longer, images, trained)
    assert run.is_resumed
    assert run.train()


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("discriminator", "features", "imagenet"),
        ("discriminator", "feature_image_size", 64),
        ("loss", "feature_weight", 2.0),
        ("rendering", "light", "learned"),
        ("schedule", "views_per_shape", 2),
        ("schedule", "coarse_images", (8,)),
        ("generator", "sdf_base_limit", 0.1),
    ],
)
def test_the_newest_options_do_not_change_within_a_run(
    tmp_path, config, images, section, name, value
):
    run = start_run(config, images, tmp_path)
    run._save()
    part = replace(getattr(config, section), **{name: value})
    with pytest.raises(ValueError, match=rf"another config \({section}\.{name}: "):
        start_run(replace(config, **{section: part}), images, tmp_path)


def test_samples_are_lit_as_in_training(tmp_path, config, images):
    """And of the full size while training is coarse."""
    sheets = []
    for light in ("none", "data"):
        chosen = replace(
            config,
            rendering=replace(config.rendering, light=light),
            schedule=replace(config.schedule, coarse_images=(100,)),
        )
        run = start_run(chosen, replace(images, light=Light(sky=0.2)), tmp_path / light)
        with RunLog(run.folder) as log:
            run._draw_samples(log)
        with Image.open(tmp_path / light / "samples" / "images-000000000.png") as sheet:
            assert sheet.width >= 8 * 16
            sheets.append(np.asarray(sheet).astype(int).sum())
    assert sheets[1] < sheets[0]


def test_a_finished_run_can_be_prolonged(trained, config, images):
    longer = replace(config, schedule=replace(config.schedule, total_images=28))
    run = start_run(longer, images, trained)
    assert run.train()
    assert run.stepper.seen_images == 28


@pytest.fixture
def weights_file(tmp_path):
    path = tmp_path / "weights" / "first.safetensors"
    path.parent.mkdir()
    tensors = dict(load_feature_network("imagenet").named_buffers())
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


def with_weights(config, path):
    discriminator = replace(config.discriminator, features=str(path), feature_image_size=32)
    return replace(config, discriminator=discriminator)


def test_a_file_of_frozen_weights_may_move_within_a_run(tmp_path, config, images, weights_file):
    start_run(with_weights(config, weights_file), images, tmp_path / "run")._save()
    moved = weights_file.rename(tmp_path / "elsewhere.safetensors")
    run = start_run(with_weights(config, moved), images, tmp_path / "run")
    assert run.is_resumed
    run.stop()
    run.train()
    resolved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert resolved["discriminator"]["features"] == str(moved)


def test_frozen_weights_do_not_change_within_a_run(tmp_path, config, images, weights_file):
    chosen = with_weights(config, weights_file)
    start_run(chosen, images, tmp_path / "run")._save()
    tensors = load_file(weights_file)
    tensors["stem.bias"] += 1
    save_file(tensors, weights_file)
    with pytest.raises(ValueError, match="other weights of the frozen network"):
        start_run(chosen, images, tmp_path / "run")
    with pytest.raises(ValueError, match=r"another config \(discriminator\.features"):
        start_run(config, images, tmp_path / "run")


def test_a_checkpoint_without_a_fingerprint_needs_the_same_path(
    tmp_path, config, images, weights_file
):
    """Such a checkpoint is of an earlier version."""
    chosen = with_weights(config, weights_file)
    start_run(chosen, images, tmp_path / "run")._save()
    last = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    content = load_checkpoint(last)
    del content["state"]["features"]
    torch.save(content, last)
    assert start_run(chosen, images, tmp_path / "run").is_resumed
    with pytest.raises(ValueError, match=r"another config \(discriminator\.features: "):
        start_run(with_weights(config, "imagenet"), images, tmp_path / "run")


def test_two_processes_do_not_train_in_one_folder(tmp_path, config, images):
    first, second = (start_run(config, images, tmp_path) for _ in range(2))

    def start_another(*_):
        with pytest.raises(BlockingIOError, match="another process is at work in this folder"):
            second.train()
        first.stop()

    first.train(on_step=start_another)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    third = start_run(config, images, tmp_path)
    third.train(on_step=lambda *_: third.stop())
    assert third.stepper.seen_images == 8


class Counter:
    """A minimal stepper."""

    is_finished = False

    def __init__(self):
        self.seen_images = 0

    def step(self):
        self.seen_images += 1
        self.is_finished = self.seen_images >= 5
        return {"count": torch.tensor(float(self.seen_images))}

    def draw_samples(self):
        return Image.new("RGB", (4, 4))

    def state_dict(self):
        return {"count": self.seen_images}

    def load_state_dict(self, state):
        self.seen_images = state["count"]

    def fields_in_state(self, state):
        return set()


def count(folder, config, **schedule):
    """A run that counts to five."""
    every = dict.fromkeys(("sample_every_images", "checkpoint_every_images"), 2)
    schedule = replace(config.schedule, log_every_images=1, **every | schedule)
    return Run(Counter(), folder, config=config.optimizer, schedule=schedule)


def test_a_run_does_not_depend_on_networks(tmp_path, config):
    start = partial(count, tmp_path, config)
    run = start()
    assert not run.train(on_step=lambda stepper, _: stepper.seen_images == 3 and run.stop())
    run = start()
    assert run.is_resumed
    assert run.train()
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [[str(i), f"{i}.0"] for i in range(1, 6)]


def test_only_fields_that_say_so_may_change(config):
    other = replace(
        config,
        optimizer=replace(config.optimizer, generator_lr=1.0, eps=1.0),
        schedule=replace(config.schedule, total_images=1000, seed=4),
    )
    changed = changed_fields(config, other)
    assert list(changed) == ["optimizer.eps", "schedule.seed"]
    assert changed["schedule.seed"] == (config.schedule.seed, other.schedule.seed)


@pytest.mark.parametrize("keep", [1, 2, 10])
def test_damaged_checkpoints_are_named_and_the_one_before_is_used(tmp_path, config, caplog, keep):
    assert count(tmp_path, config, keep_checkpoints=10).train()
    folder = tmp_path / "checkpoints"
    images = [0, 2, 4, 5]
    names = [f"images-{number:09d}.pt" for number in images]
    assert [path.name for path in list_checkpoints(folder)] == names
    for name in names[2:]:
        content = bytearray((folder / name).read_bytes())
        content[content.index(b"count")] ^= 1
        (folder / name).write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run = count(tmp_path, config, keep_checkpoints=keep)
    assert run.stepper.seen_images == 2
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [Path(line.split(" ")[0]).name for line in lines[:2]] == names[:1:-1]
    assert lines[2] == f"the run goes on from {folder / names[1]}, the one before"
    assert run.train()
    kept = [path.name for path in list_checkpoints(folder)]
    assert kept == names[-keep:]
    assert sorted(path.name for path in folder.glob("*.damaged")) == [
        f"{name}.damaged" for name in names[2:]
    ]
    assert count(tmp_path, config).stepper.seen_images == 5


def test_no_sound_checkpoint(tmp_path, config):
    assert count(tmp_path, config).train()
    for path in list_checkpoints(tmp_path / "checkpoints"):
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"images-000000005.pt is cut.* no other checkpoint"):
        count(tmp_path, config)


def test_a_checkpoint_of_a_newer_version_is_not_passed_over(tmp_path, config):
    assert count(tmp_path, config).train()
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    torch.save(load_checkpoint(last) | {"format_version": 2}, last)
    with pytest.raises(ModelError, match="format 2, this get3d reads format 1"):
        count(tmp_path, config)


def test_a_checkpoint_under_another_name(tmp_path, config):
    assert count(tmp_path, config).train()
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    last.rename(last.with_name("images-000000006.pt"))
    assert count(tmp_path, config).stepper.seen_images == 4


def test_another_process_trained_before_this_one_got_the_folder(tmp_path, config):
    late = count(tmp_path, config)
    assert count(tmp_path, config).train()
    before = (tmp_path / "log.csv").read_bytes()
    with pytest.raises(BlockingIOError, match="another process has trained in this folder"):
        late.train()
    assert (tmp_path / "log.csv").read_bytes() == before
