import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from get3d.apps import Model, save_model

ROOT = Path(__file__).parents[3]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/score.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("score")


def test_one_line_per_model(
    own_data: Path,
    tmp_path: Path,
    model: Model,
    script: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shapes = [{"file": "test-0.glb", "labels": {"kind": "mug"}}]
    (own_data / "test" / "shapes.json").write_text(json.dumps({"shapes": shapes}))
    names = [str(tmp_path / name) for name in ("a", "b")]
    for name in names:
        save_model(model, Path(name))
    saved = tmp_path / "all.jsonl"
    script.main(
        script.Args(models=tuple(names), data=own_data, num=5, work=tmp_path / "work", json=saved)
    )
    head, references, oracle, first, second = capsys.readouterr().out.splitlines()
    assert {"COV-CD", "MMD-CD", "1-NNA-CD"} <= set(head.split())
    assert "mug (1)" in head
    assert references.split()[1:] == ["1.00"] * 5
    assert oracle.startswith("training shapes")
    assert first.split("(")[0].split()[1:] == second.split("(")[0].split()[1:]  # one model
    contents = [json.loads(line) for line in saved.read_text().splitlines()]
    assert [content["name"] for content in contents] == names
    assert contents[0]["rows"] == contents[1]["rows"]
    assert [row["num_generated"] for row in contents[0]["rows"]] == [5, 5]
    work = {path.name.split("-")[0] for path in (tmp_path / "work").iterdir()}
    assert work == {"generated", "reference", "training"}
    assert len(list((tmp_path / "work").iterdir())) == 3
