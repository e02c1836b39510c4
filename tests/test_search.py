import importlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml

from get3d.config import load_config
from get3d.core import to_dict
from get3d.training import RunConfig

ROOT = Path(__file__).parent.parent
PRESET = "tiny-64"
NAMES = [
    *(
        "plain",
        "features",
        "light",
        "smooth-normals",
        "roughness",
        "positions",
        "occlusions",
        "sign-0.02",
        "sign-0.1",
        "sign-0.2",
    ),
    *("base-limit", "bowl", "mask-weight", "views-2", "views-4", "coarse", "slim-discriminator"),
    *("batch-16", "lr-half", "ema-1000", "planes-128", "learned-light", "all"),
]
FAKE_TRAINING = """
import os, pathlib, signal, sys, time
out, total, mode = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
checkpoints = out / "checkpoints"
checkpoints.mkdir(parents=True, exist_ok=True)
print("threads", os.environ["OMP_NUM_THREADS"], "checkpoints", len(list(checkpoints.iterdir())))
if mode == "fail":
    sys.exit("the loss is nan at 8 images: training stopped")
if mode == "wait":
    def stop(*_):
        (checkpoints / "images-000000008.pt").touch()
        print("stopped and saved")
        sys.exit(1)
    signal.signal(signal.SIGTERM, stop)
    (out / "waiting").touch()
    time.sleep(60)
(out / "log.csv").write_text("images,images_per_s\\n8,4\\n16,2\\n")
(checkpoints / f"images-{total:09d}.pt").touch()
"""
MODES: dict[str, str] = {}
"""What goes wrong, by variant."""


def load_script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module(name)


@pytest.fixture
def variants(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/variants.py as a module."""
    return load_script("variants", monkeypatch)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/search_tables.py as a module."""
    return load_script("search_tables", monkeypatch)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/search.py as a module, with a training that takes no time and scores from nowhere."""
    module = load_script("search", monkeypatch)
    monkeypatch.setattr(importlib.import_module("search_runs"), "Scorer", FakeScorer)
    FakeScorer.scored.clear()
    MODES.clear()
    return module


def fake_command(*args: object) -> list[str]:
    """A process without get3d, which starts fast."""
    words = [*map(str, args)]
    folder = Path(words[words.index("--out") + 1])
    total = words[words.index("--schedule.total-images") + 1]
    return [
        sys.executable,
        "-c",
        FAKE_TRAINING,
        str(folder),
        total,
        MODES.get(folder.parent.name, ""),
    ]


def save_configs(runs: Sequence[Any]) -> None:
    """Write what a training writes first."""
    for run in runs:
        run.folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(to_dict(run.config))
        (run.folder / "config.yaml").write_text(text)


class FakeScorer:
    """Stands for score.Scorer."""

    scored: ClassVar[list[str]] = []

    def __init__(self, args: Any, *, on_progress: Any) -> None:
        assert args.polar_deg == (30.0, 90.0)
        on_progress("generated", 0, 1)

    def score(self, model: str) -> dict[str, Any]:
        FakeScorer.scored.append(model)
        return content()


def content() -> dict[str, Any]:
    """What `Scorer.score` returns, as far as a row needs it."""
    quantiles = {"10": 0.1, "50": 0.4, "90": 0.8}
    row = {"num_generated": 200, "num_reference": 100}
    return {
        "rows": [
            row | {"scores": {"cov_cd": 0.5, "mmd_cd": 0.004, "one_nna_cd": 0.75}},
            row | {"scores": {"cov_cd": 0.6, "mmd_cd": 0.002, "one_nna_cd": 0.5}},
        ],
        "ratios": {"mmd_cd": 2.0},
        "soundness": {"generated": {"without_floaters": 0.9, "invalid": 1}},
        "hollowness": {
            "volume_over_hull": {
                "generated": {"quantiles": quantiles},
                "reference": {"quantiles": quantiles | {"50": 0.26}},
            }
        },
        "matching_by_label": {"values": [{"value": "cup", "ratio": 1.5}]},
    }


def make_row(**changes: Any) -> dict[str, Any]:
    """A scored row."""
    return {
        "variant": "plain",
        "flags": ["--schedule.no-mirror"],
        "preset": PRESET,
        "category": "vessel",
        "seed": 0,
        "images": 40000,
        "settings": {"num": 200, "lfd": False, "features": False},
        "images_per_s": 20.0,
        "machine": "a machine",
        "threads": 1,
        "parallel": 2,
        "num_generated": 200,
        "num_reference": 100,
        "scores": {"cov_cd": 0.5, "mmd_cd": 0.004, "one_nna_cd": None},
        "oracle": None,
        "ratios": {"mmd_cd": 1.5},
        "volume_over_hull": {"generated": None, "reference": {"50": 0.26}},
        "without_floaters": {"generated": 0.9},
        "invalid": 0,
        "mmd_cd_by_label": None,
    } | changes


# -- variants --------------------------------------------------------------------------------------


def test_the_table_has_every_variant_once(variants: ModuleType) -> None:
    assert sorted(variant.name for variant in variants.VARIANTS) == sorted(NAMES)
    assert all(variant.question for variant in variants.VARIANTS)


@pytest.mark.parametrize("base", ["plain", "all"])
@pytest.mark.parametrize("name", NAMES)
def test_flags_make_a_config_and_are_found_again_in_it(
    variants: ModuleType, name: str, base: str
) -> None:
    trial = variants.make_trial(name, base=base, num_images=40000)
    config = variants.configure(PRESET, trial.flags)
    assert isinstance(config, RunConfig)
    assert (config == load_config(PRESET)) == (name == "plain")
    flags = variants.differing_flags(config, PRESET)
    assert variants.configure(PRESET, flags) == config


@pytest.mark.parametrize("base", ["plain", "all"])
@pytest.mark.parametrize("name", NAMES)
def test_no_group_of_the_minibatch_deviation_has_a_shape_twice(
    variants: ModuleType, name: str, base: str
) -> None:
    trial = variants.make_trial(name, base=base, num_images=40000)
    config = variants.configure(PRESET, trial.flags)
    schedule = config.schedule
    num = schedule.batch_size // schedule.grad_accumulation_steps
    num_groups = num // min(config.discriminator.mbstd_group_size, num)
    for group in range(num_groups):  # image i is in group i modulo their number
        shapes = [i // schedule.views_per_shape for i in range(num) if i % num_groups == group]
        assert len(set(shapes)) == len(shapes)


def test_a_part_is_taken_out_of_a_base_and_anything_else_changed_in_it(
    variants: ModuleType,
) -> None:
    def config(name: str, base: str = "all") -> tuple[str, RunConfig]:
        trial = variants.make_trial(name, base=base, num_images=1000)
        return trial.name, variants.configure(PRESET, trial.flags)

    name, whole = config("all")
    assert (name, config("all", "plain")) == ("all", ("all", whole))
    assert whole.schedule.coarse_images == (400,)
    name, without = config("light")
    assert name == "all-without-light"
    assert (without.rendering.light, without.rendering.detach_positions) == ("none", True)
    assert without.rendering.antialias_occlusions
    name, changed = config("sign-0.1")
    assert name == "all-with-sign-0.1"
    assert changed.loss.sign_change_weight == 0.1
    assert changed.discriminator == whole.discriminator
    assert config("plain") == ("plain", load_config(PRESET))
    assert config("light", "plain")[0] == "light"


def test_bookkeeping_is_no_difference(variants: ModuleType) -> None:
    flags = ["--schedule.seed", "3", "--schedule.total-images", "8", "--schedule.no-mirror"]
    found = variants.differing_flags(variants.configure(PRESET, flags), PRESET)
    assert found == ("--schedule.no-mirror",)


def test_an_unknown_variant_and_flags_that_do_not_fit_are_one_line(variants: ModuleType) -> None:
    with pytest.raises(
        ValueError, match=r"^unknown variant feature; did you mean features\? known: "
    ):
        variants.make_trial("feature", base="all", num_images=8)
    with pytest.raises(ValueError, match=r"nothing") as error:
        variants.configure(PRESET, ["--loss.nothing", "1"])
    assert "\n" not in str(error.value)


# -- the search ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("category", "side"), [("vessel", 0.75), ("vehicle", 0.85)])
def test_images_and_scores_are_scaled_as_the_category(
    search: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    category: str,
    side: float,
) -> None:
    runs, lines, settings = importlib.import_module("search_runs"), [], []
    monkeypatch.setattr(runs, "run_get3d", lambda *args: lines.append(args))
    monkeypatch.setattr(runs, "Scorer", lambda args, **_: settings.append(args))
    one = runs.Search(make_args(search, tmp_path, only=("render",)))
    one.prepare(category)
    one._scorer(category)
    [line] = lines
    assert line[line.index("--longest-side") + 1] == settings[0].longest_side == side


def make_args(search: ModuleType, out: Path, **changes: Any) -> Any:
    settings = {"images": 16, "base": "plain", "only": ("train", "score"), "threads": 1} | changes
    return search.Args(out=out, **settings)


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / "search.json").read_text(encoding="utf-8"))
    return rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": "plain,nothing"}, "unknown variant nothing; .*known: plain, "),
        ({"base": "nothing"}, "unknown variant nothing"),
        ({"variants": "plain,plain"}, "--variants must be different names"),
        ({"category": "cat"}, "unknown category cat; known: vessel, chair, vehicle"),
        ({"seeds": "0,x"}, "--seeds must be whole numbers"),
        ({"adopt": ("mine",)}, "--adopt must be NAME=RUNFOLDER"),
        ({"adopt": ("mine=x",), "category": "vessel,chair"}, "--adopt needs one --category"),
        ({"adopt": ("mine=/nowhere",)}, "nowhere is no folder of a training run"),
    ],
)
def test_wrong_options_end_the_search_with_one_line(
    search: ModuleType, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SystemExit, match=message) as request:
        search.main(make_args(search, tmp_path, **changes))
    assert "\n" not in str(request.value)


def test_runs_know_their_category(search: ModuleType, tmp_path: Path) -> None:
    args = make_args(
        search, tmp_path, category="vessel,chair", variants="plain,coarse", seeds="0,1"
    )
    runs = search.make_runs(args)
    assert [run.seed for run in runs] == [0, 0, 1, 1] * 2
    assert ["--schedule.no-mirror" in run.flags for run in runs] == [True] * 4 + [False] * 4
    assert len({run.folder for run in runs}) == len({run.log for run in runs}) == 8
    more = search.make_runs(make_args(search, tmp_path, images=32))
    assert not {run.folder for run in more} & {run.folder for run in runs}


def test_a_failing_run_is_reported_and_the_others_go_on(
    search: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = make_args(search, tmp_path, variants="coarse,plain", parallel=2)
    MODES["coarse"] = "fail"
    runs = search.make_runs(args)
    save_configs(runs)
    first = search.Search(args, train_command=fake_command)
    first.do_all(runs)
    assert len(first.failures) == 1
    assert "coarse, vessel, seed 0: the loss is nan at 8 images" in first.failures[0]
    assert "failed: coarse" in capsys.readouterr().err
    rows = {row["variant"]: row for row in rows_of(tmp_path)}
    assert "the loss is nan" in rows["coarse"]["error"]
    assert rows["coarse"]["flags"] == ["--schedule.coarse-images", "6", "--schedule.no-mirror"]
    assert rows["plain"]["images_per_s"] == pytest.approx(16 / 6)
    assert (rows["plain"]["threads"], rows["plain"]["parallel"]) == (1, 2)

    MODES.clear()
    again = search.Search(args, train_command=fake_command)
    again.do_all(runs)
    assert not again.failures
    assert ["error" in row for row in rows_of(tmp_path)] == [False, False]
    assert len(FakeScorer.scored) == 2  # plain is not scored twice
    assert "threads 1" in runs[0].log.read_text()

    other = make_args(search, tmp_path, variants="plain", num=50)
    search.Search(other, train_command=fake_command).do_all(search.make_runs(other))
    assert len(FakeScorer.scored) == 3  # other settings of the scores
    assert len(rows_of(tmp_path)) == 2


def test_finished_run_with_other_flags_raises(search: ModuleType, tmp_path: Path) -> None:
    search_runs = importlib.import_module("search_runs")
    args = make_args(search, tmp_path, variants="sign-0.1")
    [run] = search.make_runs(args)
    save_configs([run])
    search.Search(args, train_command=fake_command).do_all([run])
    assert search_runs.is_trained(run)
    other = search.configure(PRESET, ("--loss.sign-change-weight", "0.3"))
    (run.folder / "config.yaml").write_text(yaml.safe_dump(to_dict(other)))
    with pytest.raises(ValueError, match=r"was trained with --loss\.sign-change-weight 0\.3, now"):
        search_runs.is_trained(run)


def test_a_stopped_search_saves_and_goes_on(search: ModuleType, tmp_path: Path) -> None:
    args = make_args(search, tmp_path, variants="coarse,plain")
    MODES["coarse"] = "wait"
    runs = search.make_runs(args)
    coarse, plain = runs
    save_configs(runs)
    first = search.Search(args, train_command=fake_command)
    thread = threading.Thread(target=first.do_all, args=(runs,))
    thread.start()
    deadline = time.monotonic() + 60
    while not (coarse.folder / "waiting").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(RuntimeError, match="another process trains"):
        search.Search(args, train_command=fake_command).train(coarse)
    first.stop()
    thread.join(60)
    assert not first.failures
    assert search.seen_images(coarse.folder) == 8
    assert not plain.log.exists()
    assert not (tmp_path / "search.json").exists()

    MODES.clear()
    search.Search(args, train_command=fake_command).do_all(runs)
    assert [row["variant"] for row in rows_of(tmp_path)] == ["coarse", "plain"]
    assert "checkpoints 1" in coarse.log.read_text()


def test_an_adopted_run_is_scored_with_the_flags_of_its_config(
    search: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "images-000000024.pt").touch()
    flags = ("--loss.mask-weight", "3", "--schedule.seed", "7", "--schedule.no-mirror")
    (folder / "config.yaml").write_text(yaml.safe_dump(to_dict(search.configure(PRESET, flags))))
    args = make_args(search, tmp_path, adopt=(f"by-hand={folder}",), machine="elsewhere")
    runs = search.make_runs(args)
    search.Search(args, train_command=fake_command).do_all(runs)
    [row] = rows_of(tmp_path)
    assert (row["variant"], row["seed"], row["images"]) == ("by-hand", 7, 24)
    assert row["flags"] == ["--loss.mask-weight", "3.0", "--schedule.no-mirror"]
    assert (row["machine"], row["images_per_s"]) == ("elsewhere", None)
    assert FakeScorer.scored == [str(folder)]


# -- the table -------------------------------------------------------------------------------------


def test_the_table_is_of_means_over_seeds_and_has_losers(tables: ModuleType) -> None:
    other = make_row(seed=1, scores={"cov_cd": 0.3, "one_nna_cd": 0.8}, images_per_s=None)
    other["volume_over_hull"] = {"generated": {"50": 0.5}, "reference": {"50": 0.26}}
    unscored = {key: make_row()[key] for key in (*tables.KEY, "seed")}
    failed = unscored | {"variant": "lr-half", "flags": ["--a.b", "1"], "error": "nan | at 8"}
    text = tables.search_table([failed, other, make_row()])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n")]
    assert lines[0] == tables.HEAD
    assert lines[2] == [
        *("plain", "-", "vessel", "40,000", "0, 1", "40.0 (30.0 to 50.0)", "1.50 (1.50 to 1.50)"),
        *("80.0", "0.50 (0.26)", "90.0 (90.0 to 90.0)", "20.00"),
    ]
    assert lines[3][:5] == ["lr-half", "`--a.b 1`", *lines[2][2:4], "0 (1 failed: nan / at 8)"]
    assert lines[3][5:] == ["-"] * 6
    assert "Shapes generated : of reference 200 : 100" in text


def test_a_row_takes_the_place_of_its_run_but_a_failure_not_that_of_scores(
    tables: ModuleType,
) -> None:
    first, second = make_row(), make_row(seed=1)
    newer = make_row(images_per_s=30.0)
    failed = {key: first[key] for key in (*tables.KEY, "seed")} | {"error": "no space"}
    assert tables.merge_rows([], failed) == [failed]
    assert tables.merge_rows([failed, second], first) == [first, second]
    assert tables.merge_rows([first, second], newer) == [newer, second]
    assert tables.merge_rows([first, second], failed) == [first, second]


def test_mirroring_is_a_difference_only_where_it_is_not_the_categorys(tables: ModuleType) -> None:
    assert tables.differences(make_row(category="vessel")) == "-"
    assert tables.differences(make_row(category="chair")) == "`--schedule.no-mirror`"


def test_without_runs_the_table_says_so(tables: ModuleType) -> None:
    page = "a\n<!-- search -->\nold\n<!-- /search -->\nb\n"
    filled = tables.fill_search(page, [])
    assert filled == page.replace("old", tables.NONE_YET)
    assert tables.fill_search(filled, []) == filled
    with pytest.raises(ValueError, match="once"):
        tables.fill_search("a page without marks", [])


def test_the_training_page_has_the_saved_runs(tables: ModuleType) -> None:
    rows = json.loads((ROOT / "results" / "search.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert tables.fill_search(page, rows) == page
    for row in rows:
        assert f"| {row['variant']} | " in page


def test_a_speed_is_over_the_whole_run(tables: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    assert tables.read_speed(log) is None
    log.write_text("images,images_per_s\n100,50\n200,25\n")
    assert tables.read_speed(log) == pytest.approx(200 / 6)


@pytest.mark.parametrize("name", ["threads", "parallel", "num", "num_test", "num_train"])
def test_numbers_out_of_range_raise(search: ModuleType, name: str) -> None:
    option = name.replace("_", "-")
    with pytest.raises(SystemExit, match=f"search: --{option} must be at least"):
        search.main(search.Args(**{name: 0}))


@pytest.mark.parametrize("text", ["[{", "{}", "[1]"])
def test_a_damaged_file_of_results_is_kept_and_named(
    search: ModuleType, tmp_path: Path, text: str
) -> None:
    results = tmp_path / "search.json"
    results.write_text(text)
    with pytest.raises(SystemExit, match=r"search: .*search\.json: .*move it away"):
        search.run_main("search", lambda: search.main(search.Args(out=tmp_path)))
    assert results.read_text() == text


def test_other_braces_in_paths_are_kept(search: ModuleType) -> None:
    found = search.Search(search.Args(shapes="{other}/{category}", data="{}"))
    assert found.shapes("chair") == Path("{other}/chair")
    assert found.data("chair") == Path("{}")


def test_scores_of_too_few_shapes_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    score = load_script("score", monkeypatch)
    for wrong in ({"num": 0}, {"views": -1}):
        with pytest.raises(ValueError, match="--num must be at least 4 and --views at least 1"):
            score.make_config(score.Args(data=Path(), **wrong))


def test_a_file_that_cannot_be_written_is_named_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    score = load_script("score", monkeypatch)
    monkeypatch.setattr(score.Scorer, "score", None)
    with pytest.raises(FileNotFoundError):
        score.main(score.Args(data=tmp_path, json=tmp_path / "nosuch" / "scores.json"))
