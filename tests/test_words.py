"""The field's words: terms that no paper or library uses are kept out of code and documentation."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Pattern (parts of identifiers count as words) -> what to write.
BANNED = {
    r"judge[sd]?|judging": "discriminator",
    r"verdicts?": "logit",
    r"persuade\w*": "generator_step",
    r"paint(s|er|ing)?": "synthesize, bake or render",
    r"portions?": "chunk",
    r"learnt": "learned",
    r"films?|filmed": "video",
    r"pictures?|pictured": "image",
    r"twins?": "opposite half-edge",
    r"crumbs?": "small component",
    r"hinges?|hinged": "ambiguous face",
    r"rescue[sd]?": "fallback surface",
    r"remedy|remedies": "suggested fix",
    r"hangs? together": "is connected",
    r"ask(s|ed|ing)? (the|a|its) fields?": "evaluate the field",
    r"share of": "fraction of",
    r"ToColor|ModulatedPoints|PlaneSynthesis|ImagingConfig|TracedSurface": "see docs/glossary.md",
    r"append_group_deviation|trace_surface|twin_sides": "see docs/glossary.md",
}
ALLOWED = {
    # Paint is a material of the shapes that it makes, and pictures are part of others' names.
    "src/get3d_shapes/*": {"paint", "painting", "paints"},
    "tests/get3d_shapes/*": {"paint", "painting", "paints"},
    # The former names that are still read.
    "src/get3d/apps/latent/folder.py": {"pictures"},
    "tests/apps/latent/test_folder.py": {"pictures"},
    "docs/metrics.md": {"pictures"},
    "src/get3d/apps/evaluation/page.py": {"pictures"},
    "tests/apps/evaluation/test_evaluate.py": {"pictures"},
    # A name of Blender's.
    "tests/clients/blender_render.py": {"film"},
    # What earlier versions called their results.
    "scripts/same_results*.py": None,
    "tests/test_same_results.py": None,
    "tests/test_words.py": None,
    "CHANGELOG.md": None,
}
TEXTS = (".py", ".md", ".yaml", ".toml")


def texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("the files of the project are known to git alone")
    paths = [Path(line) for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in TEXTS and (ROOT / path).is_file()]


def allowed_in(path: Path) -> set[str] | None:
    for pattern, words in ALLOWED.items():
        if path.full_match(pattern) if hasattr(path, "full_match") else path.match(pattern):
            return words
    return set()


def test_banned_words_stay_out() -> None:
    patterns = {
        re.compile(rf"(?<![A-Za-z])({words})(?![a-z])", re.IGNORECASE): instead
        for words, instead in BANNED.items()
    }
    found = []
    for path in texts():
        allowed = allowed_in(path)
        if allowed is None:
            continue
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
            for pattern, instead in patterns.items():
                for match in pattern.finditer(line):
                    if match[0].lower() not in allowed:
                        found.append(f"{path}:{number}: {match[0]!r}; write {instead}")
    assert not found, "\n".join(found[:60]) + f"\n{len(found)} in all"


def test_the_check_finds_parts_of_identifiers() -> None:
    pattern = re.compile(r"(?<![A-Za-z])(films?)(?![a-z])", re.IGNORECASE)
    assert [bool(pattern.search(text)) for text in ("write_film", "Films", "filmography")] == [
        True,
        True,
        False,
    ]
