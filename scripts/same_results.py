"""Check whether a refactoring changed results: the same probes with the code of two commits.

    python scripts/same_results.py --against main
    python scripts/same_results.py --against HEAD~3 --only glb training
    python scripts/same_results.py --record /tmp/before.npz       # compare later, on this machine
    python scripts/same_results.py --compare /tmp/before.npz

Checks the commit out into a temporary worktree and runs scripts/same_results_probes.py (that of the
working tree) with its `src` and with the working tree's: same Python, same inputs (which the
older code makes), one thread, fixed seeds. One line a probe says whether all results have the same
bits, or which differ most and where. The exit code is 1 if a difference has no reason in
EXCEPTIONS. A result that only one side has is a difference; if its name has changed, a line of
RENAMED has to say so. A record has the results of the probes that it was made with.

Compiled loops are compiled anew on each side: numba's cache does not notice a change of a function
that is called from another file.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
EXCEPTIONS: dict[str, str] = {
    "training/*": "draws are keyed by image, and regularisers are means over shapes, since fd76e76",
    "glb/*": "the bundled vessels are hollow (cavity_wall), since ff2d705; names in the files; "
    "charts are merged, cut and packed by our own loops",
}
"""Reasons for expected differences, by name of the result; * matches any part of a name."""

RENAMED = (
    # old, new
    ("accumulate", "grad_accumulation_steps"),
    ("imaging", "rendering"),
    ("ImagingConfig", "TrainingRenderConfig"),
    ("broken", "invalid"),
    ("protocol.pictures", "protocol.images"),
    ("largest_piece_over_99_percent", "largest_component_over_99_percent"),
)
"""Words of flags, config fields, log columns, report keys and Python names, whole between dots
and slashes. Results are compared, and named in EXCEPTIONS, by the old ones."""

PROBES = ("data", "glb", "generators", "images", "metrics", "training")
Record = dict[str, np.ndarray]
"""Numbers, bytes or a text, by name: probe/part/..., with dots inside of a part."""

INPUTS = "inputs"
"""Name of the shapes and training images in a record: a tar file."""


@dataclass(frozen=True)
class Difference:
    """A difference of two results.

    Attributes:
        name: Name of the result.
        size: Largest difference over the largest absolute old value; infinite where the results
            cannot be subtracted.
        text: Position, old and new value.
    """

    name: str
    size: float
    text: str


# -- names ----------------------------------------------------------------------------------------


def spellings(word: str) -> list[str]:
    """List the old and new names of a word, itself first.

    Example:
        >>> spellings("accumulate")
        ['accumulate', 'grad_accumulation_steps']
    """
    return [word, *(new for old, new in RENAMED if old == word)]


def old_name(name: str) -> str:
    """Translate the part of a result's name after the probe to its old name.

    Example:
        >>> old_name("metrics/soundness.invalid")
        'metrics/soundness.broken'
    """
    probe, slash, rest = name.partition("/")
    for old, new in RENAMED:
        rest = re.sub(rf"(?<![^/.]){re.escape(new)}(?![^/.])", old, rest)
    return probe + slash + rest


# -- comparing -------------------------------------------------------------------------------------


def translate(record: Record) -> Record:
    """Rename all results to their old names.

    Raises:
        ValueError: If two get the same name.
    """
    translated = {old_name(name): value for name, value in record.items()}
    if len(translated) < len(record):
        raise ValueError("RENAMED gives two results the same name; make its words more special")
    return translated


def compare_values(name: str, old: np.ndarray, new: np.ndarray) -> Difference | None:
    """Compare two results bit by bit; None if they are the same."""
    is_text = "U" in (old.dtype.kind, new.dtype.kind)
    if not is_text and (old.dtype, old.shape) != (new.dtype, new.shape):
        both = [f"{each.dtype} {list(each.shape)}" for each in (old, new)]
        text = f"{name}: {both[0]} became {both[1]}"
        if old.dtype == new.dtype and old.ndim == new.ndim == 1:
            num = min(len(old), len(new))
            others = np.flatnonzero(old[:num] != new[:num])
            text += f", other from {others[0] if len(others) else num} on"
        return Difference(name, np.inf, text)
    if old.tobytes() == new.tobytes() and old.dtype == new.dtype:
        return None
    if is_text:
        both = [str(each)[:12] for each in (old, new)]
        return Difference(name, np.inf, f"{name}: {both[0]}... became {both[1]}...")
    a, b = old.astype(np.float64), new.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(b - a))
    gap = np.nan_to_num(gap, nan=np.inf)  # a number on one side only
    index = np.unravel_index(gap.argmax(), gap.shape)
    where = f"{name}[{', '.join(map(str, index))}]" if index else name
    if gap[index] == 0:
        return Difference(name, 0.0, f"{name}: equal numbers, other bits (zero or NaN)")
    largest = np.abs(a[np.isfinite(a)]).max(initial=0.0) or 1.0
    text = f"{where}: {old[index]} became {new[index]}, values up to {largest:.3g}"
    return Difference(name, float(gap[index] / largest), text)


def find_differences(old: Record, new: Record) -> list[Difference]:
    """Compare two records, whose names are translated; the largest difference comes first."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            side = "new" if name in new else "old"
            found.append(Difference(name, np.inf, f"{name}: only the {side} code gives it"))
        elif difference := compare_values(name, old[name], new[name]):
            found.append(difference)
    return sorted(found, key=lambda each: -each.size)


def find_reason(name: str, exceptions: dict[str, str]) -> str | None:
    """Find the reason of an expected difference."""
    return next((why for key, why in exceptions.items() if fnmatchcase(name, key)), None)


def report(
    probe: str, old: Record, new: Record, exceptions: dict[str, str]
) -> tuple[bool, list[str]]:
    """Report the differences of a probe.

    Returns:
        Whether there are no unexpected differences, and the lines to print.
    """
    old, new = (
        {name: value for name, value in record.items() if name.startswith(f"{probe}/")}
        for record in (old, new)
    )
    failures = {
        side: str(record[f"{probe}/failed"])
        for side, record in (("old", old), ("new", new))
        if f"{probe}/failed" in record
    }
    if failures or not old:
        lines = [f"{probe:<12} failed, {side} code:\n{why}" for side, why in failures.items()]
        return False, lines or [f"{probe:<12} was not recorded"]
    found = find_differences(old, new)
    reasons = {each.name: find_reason(each.name, exceptions) for each in found}
    excused = [f"  excepted: {name} ({why})" for name, why in reasons.items() if why is not None]
    others = [each for each in found if reasons[each.name] is None]
    if not others:
        same = "same bits" if not found else "same bits but for exceptions"
        return True, [f"{probe:<12} {same} ({len(old)} results)", *excused]
    line = f"{probe:<12} {len(others)} of {len(old)} results differ; the largest: {others[0].text}"
    return False, [line, *excused]


# -- running ---------------------------------------------------------------------------------------


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary worktree."""
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory(prefix="same-results-") as folder:
        place = Path(folder) / "tree"
        subprocess.run([*git, "worktree", "add", "-q", "--detach", place, commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", place], check=True)


def run_probes(root: Path, probes: Sequence[str], inputs: bytes | None) -> Record:
    """Run probes with the `src` of a folder.

    Args:
        root: The working tree or another.
        probes: Names of the probes.
        inputs: Inputs from the record of another run; None makes them.

    Returns:
        The results, and the inputs.
    """
    with tempfile.TemporaryDirectory(prefix="same-results-") as folder:
        place, out = Path(folder) / "inputs", Path(folder) / "record.npz"
        if inputs is not None:
            with tarfile.open(fileobj=io.BytesIO(inputs)) as tar:
                if tar.getnames():
                    tar.extractall(place, filter="data")
        environment = os.environ | {
            "PYTHONPATH": str(root / "src"),
            "PYTHONHASHSEED": "0",
            "CUDA_VISIBLE_DEVICES": "",
            "NUMBA_CACHE_DIR": str(Path(folder) / "numba"),
            "COLUMNS": "200",  # help texts keep long flags in one piece
        }
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        script = ROOT / "scripts" / "same_results_probes.py"
        options = ["--src", root / "src", "--inputs", place, "--out", out]
        subprocess.run(
            [sys.executable, script, *options, *probes], cwd=folder, env=environment, check=True
        )
        with np.load(out) as file:
            record = dict(file)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            if place.exists():
                tar.add(place, ".")
        return record | {INPUTS: np.frombuffer(packed.getvalue(), np.uint8)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--against", metavar="COMMIT", help="compare the working tree with it")
    what.add_argument("--record", metavar="FILE", type=Path, help="keep the results (.npz)")
    what.add_argument("--compare", metavar="FILE", type=Path, help="compare with kept results")
    parser.add_argument("--only", nargs="+", choices=PROBES, default=PROBES)
    args = parser.parse_args()
    if args.against:
        print(f"{args.against}:", flush=True)
        with checked_out(args.against) as tree:
            old = run_probes(tree, args.only, None)
    elif args.compare:
        with np.load(args.compare) as file:
            old = dict(file)
    print("working tree:", flush=True)
    if args.record:
        with args.record.open("wb") as file:
            np.savez_compressed(file, **run_probes(ROOT, args.only, None))
        return 0
    new = translate(run_probes(ROOT, args.only, old[INPUTS].tobytes()))
    old = translate(old)
    reports = [report(probe, old, new, EXCEPTIONS) for probe in args.only]
    for _, lines in reports:
        print("\n".join(lines))
    return 0 if all(is_same for is_same, _ in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
