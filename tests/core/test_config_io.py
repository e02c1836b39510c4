from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml

from get3d.core import FORMERLY, ConfigError, check_literals, from_dict, read_yaml, to_dict
from get3d.data import RenderConfig
from get3d.models import GeneratorConfig, TrainingRenderConfig
from get3d.training.config import LossConfig


@dataclass(frozen=True, kw_only=True)
class Lens:
    fovy_deg: float
    range_deg: tuple[float, float] = (0.0, 360.0)


@dataclass(frozen=True, kw_only=True)
class Run:
    steps: int
    rate: float = 2e-3
    kind: Literal["separate", "unified"] = "separate"
    sizes: tuple[int, ...] = ()
    verbose: bool = False
    lens: Lens = field(default_factory=lambda: Lens(fovy_deg=49.13))
    grid: str | None = None


def test_every_kind_of_value_survives_yaml() -> None:
    run = Run(
        steps=3,
        rate=1e-5,
        kind="unified",
        sizes=(1, 2),
        verbose=True,
        lens=Lens(fovy_deg=30.0, range_deg=(0.0, 20.0)),
        grid="a.npz",
    )
    for instance in (run, Run(steps=1)):
        assert from_dict(Run, yaml.safe_load(yaml.safe_dump(to_dict(instance)))) == instance


def test_whole_numbers_become_floats_and_lists_tuples() -> None:
    run = from_dict(Run, {"steps": 1, "rate": 1, "lens": {"fovy_deg": 5, "range_deg": [0, 20]}})
    assert type(run.rate) is float
    assert run.lens.range_deg == (0.0, 20.0)
    assert all(type(angle) is float for angle in run.lens.range_deg)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{steps: 1, lense: 2}", r"unknown key lense; did you mean lens\?"),
        ("{steps: 1, lens: {fovy: 2}}", r"unknown key lens\.fovy; did you mean fovy_deg\?"),
        ("{steps: 1, lens: {}}", r"missing lens\.fovy_deg"),
        ("{}", "missing steps"),
        ("{steps: 1, zzzzz: 2}", r"unknown key zzzzz; accepted: steps, rate"),
        ("{steps: 1, rate: .nan}", "rate must be a finite number; got nan"),
        ("{steps: 1, rate: .inf}", "rate must be a finite number; got inf"),
        ("{steps: true}", r"steps must be a whole number; got True"),
        ("{steps: 1.5}", r"steps must be a whole number; got 1\.5"),
        ("{steps: null}", r"steps must be a whole number; got None"),
        ("{steps: 1, verbose: 1}", r"verbose must be true or false; got 1"),
        ("{steps: 1, rate: 1e-3}", r"rate must be a number.* write 1\.0e-3"),
        ("{steps: 1, rate: 1.5e3}", r"rate must be a number.* write 1\.5e\+3"),
        ("{steps: 1, rate: '2'}", "write 2 without quotes"),
        ("{steps: 1, rate: -.5E4}", r"rate must be a number.* write -\.5e\+4"),
        ("{steps: 1, rate: fast}", r"rate must be a number; got 'fast'"),
        ("{steps: 1, kind: both}", "kind must be one of separate, unified; got 'both'"),
        ("{steps: 1, sizes: [1, a]}", r"sizes\[1\] must be a whole number"),
        ("{steps: 1, sizes: 4}", r"sizes must be a list"),
        ("{steps: 1, lens: {fovy_deg: 1, range_deg: [1]}}", r"lens\.range_deg must be a list of 2"),
        ("{steps: 1, lens: 4}", r"lens must be named values \(fovy_deg, range_deg\); got 4"),
        ("{steps: 1, grid: 5}", r"grid must be text; got 5"),
        ("[1]", r"the configuration must be named values"),
    ],
)
def test_bad_values_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(Run, yaml.safe_load(text))


def test_errors_of_post_init_have_the_path() -> None:
    @dataclass(frozen=True)
    class Positive:
        size: int

        def __post_init__(self) -> None:
            if self.size <= 0:
                raise ConfigError(f"size must be positive, got {self.size}")

    with pytest.raises(ConfigError, match=r"^model: size must be positive, got 0$"):
        from_dict(Positive, {"size": 0}, path="model")


def test_literals_are_checked_in_python_too() -> None:
    check_literals(Run(steps=1, kind="unified"))
    with pytest.raises(ConfigError, match="kind must be one of separate, unified; got 'unify'"):
        check_literals(Run(steps=1, kind="unify"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (GeneratorConfig(), "architecture"),
        (GeneratorConfig(), "iso_surface"),
        (GeneratorConfig(), "sdf_inside"),
        (GeneratorConfig(), "sdf_base"),
        (TrainingRenderConfig(), "composite"),
        (LossConfig(), "real_mask"),
        (RenderConfig(), "light"),
    ],
)
def test_every_config_checks_its_literals(config: Any, name: str) -> None:
    object.__setattr__(config, name, "x")  # bypasses the tests' type checker
    with pytest.raises(ConfigError, match=f"{name} must be one of .*; got 'x'"):
        config.__post_init__()


@dataclass(frozen=True, kw_only=True)
class Renamed:
    inner: Lens | None = None
    grad_accumulation_steps: int = field(default=1, metadata={FORMERLY: "accumulate"})


def test_former_names_of_fields_are_read() -> None:
    assert from_dict(Renamed, {"accumulate": 4}) == Renamed(grad_accumulation_steps=4)
    assert to_dict(Renamed())["grad_accumulation_steps"] == 1
    with pytest.raises(ConfigError, match="accumulate is the former name of grad_accumulation_st"):
        from_dict(Renamed, {"accumulate": 4, "grad_accumulation_steps": 2})


@pytest.mark.parametrize("text", ["a: 2024-13-45", "a: " + "9" * 5000, "[" * 3000, "a: !!int x"])
def test_damaged_yaml_is_one_error(tmp_path, text) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is no valid YAML"):
        read_yaml(path)
