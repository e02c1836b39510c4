import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/results.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("results")


def test_the_results_pages_are_what_the_saved_numbers_say() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "results.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_marked_part_is_filled_and_the_rest_left_alone(script: ModuleType) -> None:
    page = "before\n<!-- numbers: scripts/results.py one -->\nold\n<!-- end of numbers -->\nafter\n"
    filled = script.fill(page, {"one": lambda: "new"})
    assert filled == page.replace("old", "new")
    assert script.fill(filled, {"one": lambda: "new"}) == filled


def test_parts_and_marks_must_match(script: ModuleType) -> None:
    page = "<!-- numbers: scripts/results.py one -->\n<!-- end of numbers -->\n"
    with pytest.raises(ValueError, match="marks"):
        script.fill(page, {"one": lambda: "", "two": lambda: ""})
    with pytest.raises(ValueError, match="marks"):
        script.fill(page, {})


def test_the_surfaces_page_has_the_saved_triangles(script: ModuleType) -> None:
    saved = json.loads((ROOT / "results" / "surfaces.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "surfaces.md").read_text(encoding="utf-8")
    for part in ("exact", "fitted"):
        [body] = re.findall(rf"results.py {part} -->\n(.*?)<!-- end", page, re.DOTALL)
        lines = [line for line in body.splitlines() if line.startswith("|")][2:]
        cells = [[cell.strip() for cell in line.split("|")] for line in lines]
        rows = [
            row
            for row in saved["runs"]
            if saved[part].items() <= row.items() and row["surface"] != "dmtet_same_lattice"
        ]
        assert len(cells) == len(rows) == 12  # three surfaces of four shapes
        for line, row in zip(cells, rows, strict=True):
            assert (line[1], line[3].replace(" ", "")) == (row["shape"], str(row["triangles"]))


def test_a_law_is_found_again(script: ModuleType) -> None:
    growth = importlib.import_module("growth")
    x = np.array([90.0, 128, 256, 512])
    law = growth.fit_law(x, 0.7 + 3e-6 * x**2, np.arange(1.0, 3.05, 0.1))
    assert law.power == pytest.approx(2)
    assert (law.fixed, law.factor) == pytest.approx((0.7, 3e-6))
    assert growth.fit_law(x, 3e-6 * x**2 - 0.01, np.array([2.0])).fixed == 0


def test_plot_of_other_numbers_raises(script: ModuleType, tmp_path: Path) -> None:
    growth = importlib.import_module("growth")
    numbers, image = {"runs": [1]}, tmp_path / "growth.png"
    assert not growth.is_drawn_from(numbers, image)
    info = PngInfo()
    info.add_text(growth.DIGEST, growth.digest(numbers))
    Image.new("RGB", (1, 1)).save(image, pnginfo=info)
    assert growth.is_drawn_from(numbers, image)
    assert not growth.is_drawn_from({"runs": [2]}, image)
