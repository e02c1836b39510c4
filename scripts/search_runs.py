"""Training and scoring of the runs of scripts/search.py, in parallel and resumable."""

import json
import os
import shlex
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numba
import torch
from score import Args as ScoreArgs
from score import Scorer, show_progress
from search_tables import Row, merge_rows, read_speed, score_row
from stages import CATEGORIES, get3d_command, render_args, run_get3d, shapes_args
from variants import differing_flags

from get3d.cli.errors import is_expected
from get3d.config import load_config
from get3d.core import ConfigError, DataError, write_text
from get3d.core.processes import num_cores
from get3d.training import RunConfig
from get3d.training.checkpoints import list_checkpoints

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from machine import machine_name  # noqa: E402

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

Stage = Literal["shapes", "render", "train", "score"]
STAGES: tuple[Stage, ...] = ("shapes", "render", "train", "score")
POLAR_DEG, SIZE, VIEWS = (30.0, 90.0), 64, 10


@dataclass(frozen=True)
class Args:
    """Search over training variants: one change at a time, at a fixed budget of images."""

    out: Path = Path("runs/search")
    """Folder for everything."""

    category: str = "vessel"
    """Comma-separated procedural categories."""

    variants: str | None = None
    """Comma-separated names; `every` for all. Default: plain,all, or with --adopt
    none."""

    base: str = "all"
    """Variant to compare with: its own parts are removed from it, others added to it."""

    images: int = 40_000
    """Budget: real images shown in each run."""

    seeds: str = "0"
    """Comma-separated seeds of the training."""

    preset: str = "tiny-64"
    """Preset that the flags of the variants change."""

    threads: int = 1
    """Threads of each run."""

    parallel: int = 1
    """Number of runs in parallel."""

    json: Path | None = None
    """File for the numbers; default: search.json in the folder. Others' rows are kept."""

    adopt: tuple[str, ...] = ()
    """NAME=RUNFOLDER: score a run that was trained by hand, under a name."""

    machine: str | None = None
    """Machine on which adopted runs were trained, if not this one."""

    num_train: int = 2400
    """Number of training shapes."""

    num_test: int = 100
    """Number of test shapes."""

    num: int = 200
    """Number of shapes to generate per model for the scores."""

    lfd: bool = False
    """Score by light-field distance too."""

    features: bool = False
    """Score precision and recall of images too."""

    shapes: str | None = None
    """Folder with `train` and `test` that is there already; {category} stands for the category."""

    data: str | None = None
    """Existing data set of images, likewise."""

    device: str = "cpu"
    """cpu, cuda or auto."""

    only: tuple[Stage, ...] = STAGES
    """Stages to run."""

    list: bool = False
    """Print what would be trained, with all flags, and end."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        variant: Name of the variant, or of an adopted run.
        category: Category of the shapes.
        seed: Random seed of the training.
        images: Budget of training images.
        preset: Preset that the flags change.
        flags: Flags of `get3d train` besides paths; empty for an adopted run.
        config: Resolved config; for an adopted run that of its folder.
        folder: Run folder.
        is_adopted: Whether it was trained by hand.
    """

    variant: str
    category: str
    seed: int
    images: int
    preset: str
    flags: tuple[str, ...]
    config: RunConfig
    folder: Path
    is_adopted: bool = False

    @property
    def log(self) -> Path:
        """File for the output of the training."""
        return self.folder.with_suffix(".log")

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.variant}, {self.category}, seed {self.seed}"


class StoppedError(Exception):
    """The search is stopping."""


def seen_images(folder: Path) -> int:
    """Return the training images of a run at its newest checkpoint; 0 without one."""
    checkpoints = list_checkpoints(folder / "checkpoints")
    return int(checkpoints[-1].stem.removeprefix("images-")) if checkpoints else 0


def is_trained(run: Run) -> bool:
    """Return whether a run has reached its budget.

    Raises:
        ConfigError: If it has, but with other flags than the variant has now.
    """
    if run.is_adopted:
        return True
    if seen_images(run.folder) < run.images:
        return False
    found = differing_flags(load_config(run.folder / "config.yaml"), run.preset)
    wanted = differing_flags(run.config, run.preset)
    if found != wanted:
        raise ConfigError(
            f"{run.folder} was trained with {shlex.join(found) or 'no flags'}, now the variant is "
            f"{shlex.join(wanted) or 'without flags'}; move the folder away"
        )
    return True


class Search:
    """Trains and scores runs in parallel; state that all runs share."""

    def __init__(
        self, args: Args, *, train_command: Callable[..., list[str]] = get3d_command
    ) -> None:
        """Store the settings.

        Args:
            args: Command line.
            train_command: Function from the arguments of get3d to a command line.
        """
        self.args = args
        self.json = args.json or args.out / "search.json"
        self.failures: list[str] = []
        self._train_command = train_command
        self._is_stopping = False
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock, self._score_lock = threading.Lock(), threading.Lock()
        self._scorers: dict[str, Scorer] = {}

    def shapes(self, category: str) -> Path:
        """Return the folder of the category's shapes."""
        given = self.args.shapes
        return (
            Path(given.replace("{category}", category))
            if given
            else self.args.out / category / "shapes"
        )

    def data(self, category: str) -> Path:
        """Return the data set of the category's images."""
        given = self.args.data
        if not given:
            return self.args.out / category / "data"
        return Path(given.replace("{category}", category))

    def prepare(self, category: str) -> None:
        """Make the shapes and images that are not given."""
        args, shapes = self.args, self.shapes(category)
        workers = ("--workers", min(num_cores(), args.threads * args.parallel))
        if "shapes" in args.only and args.shapes is None:
            for split, num in (("train", args.num_train), ("test", args.num_test)):
                run_get3d(*shapes_args(category, split, num, shapes, texture_size=256), *workers)
        if "render" in args.only and args.data is None:
            images = render_args(
                shapes / "train",
                self.data(category),
                category=category,
                size=SIZE,
                views=VIEWS,
                longest_side=CATEGORIES[category].longest_side,
                polar_deg=POLAR_DEG,
            )
            run_get3d(*images, *workers)

    def do_all(self, runs: Sequence[Run]) -> None:
        """Train and score runs, `parallel` at once; Ctrl-C saves those that are being trained.

        Raises:
            KeyboardInterrupt: After they have saved.
        """
        with ThreadPoolExecutor(self.args.parallel) as pool:
            futures = [pool.submit(self.do, run) for run in runs]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self.stop()
                for future in futures:
                    future.cancel()
                raise

    def stop(self) -> None:
        """Make every training save and end, and start no other."""
        with self._lock:
            self._is_stopping = True
            for child in self._children:
                child.terminate()

    def do(self, run: Run) -> None:
        """Train and score one run, resuming it; an error becomes a row."""
        try:
            if "train" in self.args.only and not is_trained(run):
                self.train(run)
            if "score" in self.args.only and is_trained(run):
                self.score(run)
        except StoppedError:
            return
        except Exception as error:  # the other runs go on
            if not is_expected(error) and type(error) is not RuntimeError:
                traceback.print_exception(error)
            reason = " ".join(str(error).split()) or type(error).__name__
            self.failures.append(f"{run.label}: {reason}")
            print(f"failed: {self.failures[-1]}", file=sys.stderr, flush=True)
            if not run.is_adopted:
                self.save(self.row(run) | {"error": reason})

    def train(self, run: Run) -> None:
        """Train a run to its budget.

        Raises:
            StoppedError: If the search is stopping.
            RuntimeError: If the training failed.
        """
        if self._is_stopping:
            raise StoppedError
        paths = ("--data", self.data(run.category), "--out", run.folder)
        command = self._train_command(
            "train", run.preset, *paths, "--device", self.args.device, *run.flags
        )
        start = f"from {seen_images(run.folder)} images" if seen_images(run.folder) else "from new"
        print(f"training {run.label}, {start}; log: {run.log}", flush=True)
        run.log.parent.mkdir(parents=True, exist_ok=True)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        threads = dict.fromkeys(names, str(self.args.threads))
        environment = os.environ | threads | {"OMP_WAIT_POLICY": "PASSIVE"}
        with run.log.open("ab") as log:
            lock_file(log, run.folder)
            with self._lock:
                if self._is_stopping:
                    raise StoppedError
                # In a session of its own, so that Ctrl-C does not reach it twice.
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
                self._children.add(child)
            code = child.wait()
            with self._lock:
                self._children.remove(child)
        if self._is_stopping:
            raise StoppedError
        if code != 0 or seen_images(run.folder) < run.images:
            raise RuntimeError(f"{last_line(run.log)} (exit code {code}; log: {run.log})")

    def score(self, run: Run) -> None:
        """Score a run and save its row, unless it is there.

        Raises:
            StoppedError: If the search is stopping.
        """
        row = self.row(run)
        if any(row.items() <= old.items() and "scores" in old for old in self.saved()):
            return
        with self._score_lock:
            torch.set_num_threads(self.args.threads)
            numba.set_num_threads(min(self.args.threads, numba.config.NUMBA_NUM_THREADS))
            self._on_progress("", 0, 0)
            content = self._scorer(run.category).score(str(run.folder))
        setting = {"threads": self.args.threads, "parallel": self.args.parallel}
        if run.is_adopted:
            setting = dict.fromkeys(setting)
        machine = (self.args.machine if run.is_adopted else None) or machine_name()
        speed = {"images_per_s": read_speed(run.folder / "log.csv"), "machine": machine}
        self.save(row | speed | setting | score_row(content))
        print(f"scored {run.label}", flush=True)

    def row(self, run: Run) -> Row:
        """Make the row of a run, without its scores."""
        args = self.args
        return {
            "variant": run.variant,
            "flags": list(differing_flags(run.config, run.preset)),
            "preset": run.preset,
            "category": run.category,
            "seed": run.seed,
            "images": run.images,
            "settings": {"num": args.num, "lfd": args.lfd, "features": args.features},
        }

    def saved(self) -> list[Row]:
        """Read the rows of the JSON file; raise DataError if it is damaged."""
        if not self.json.is_file():
            return []
        try:
            rows: list[Row] = json.loads(self.json.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{self.json}: damaged ({error}); move it away") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{self.json}: not a list of results of a search; move it away")
        return rows

    def save(self, row: Row) -> None:
        """Replace the row of the same run, or append the row."""
        with self._lock:
            rows = merge_rows(self.saved(), row)
            write_text(self.json, json.dumps(rows, indent=1, allow_nan=False) + "\n")

    def _scorer(self, category: str) -> Scorer:
        args = self.args
        if category not in self._scorers:
            settings: dict[str, Any] = {
                "data": self.shapes(category),
                "work": args.out / category / "score-work",
                "longest_side": CATEGORIES[category].longest_side,
                "polar_deg": POLAR_DEG,
                "workers": args.threads,
            }
            for name in ("num", "lfd", "features", "device"):
                settings[name] = getattr(args, name)
            self._scorers[category] = Scorer(ScoreArgs(**settings), on_progress=self._on_progress)
        return self._scorers[category]

    def _on_progress(self, label: str, done: int, total: int) -> None:
        if self._is_stopping:
            raise StoppedError
        if label:
            show_progress(label, done, total)


def lock_file(log: BinaryIO, folder: Path) -> None:
    """Lock a log until this process and every one that writes to it have closed it.

    Raises:
        RuntimeError: If it is locked: a search that was killed may have left a training behind.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RuntimeError(f"another process trains {folder}; wait for it or end it") from error


def last_line(path: Path) -> str:
    """Return the last non-empty line of a log, without progress bars that it overwrites."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = [line.split("\r")[-1].strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "no output")
