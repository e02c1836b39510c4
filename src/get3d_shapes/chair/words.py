"""Captions of chairs."""

from get3d_shapes.chair.frame import Frame
from get3d_shapes.design import article
from get3d_shapes.finishes import Fabric, Finish

_LEGS = {
    "straight": "four straight legs",
    "tapered": "four tapered legs",
    "turned": "four turned legs",
    "tube": "four metal legs",
}
_BACKS = {
    "panel": "a solid back",
    "window": "a back with cut-outs",
    "upholstered": "an upholstered back",
    "slats": "a slatted back",
    "ladder": "a ladder back",
    "spindles": "a spindle back",
    "hoop": "a hoop back",
    "cross": "a cross back",
    "lattice": "a lattice back",
    "splat": "a splat back",
    "split": "a half back",
}


def finish_words(finish: Finish) -> str:
    """Name a finish: "red striped fabric", "dark walnut", "chrome"."""
    if isinstance(finish, Fabric) and finish.kind == "fabric":
        pattern = {
            "plain": "",
            "stripes": "striped ",
            "thin stripes": "pinstriped ",
            "checks": "checked ",
            "dots": "dotted ",
            "zigzag": "zigzag ",
            "diamonds": "diamond-patterned ",
        }[finish.pattern]
        return f"{finish.color_name} {pattern}fabric"
    match finish.kind:
        case "wood" | "metal":
            extra = " steel" if finish.color_name == "black" else ""
            return f"{finish.color_name}{extra}"
        case "rush":
            return "straw"
        case "painted wood":
            return f"{finish.color_name} painted"
    return f"{finish.color_name} {finish.kind}"


def chair_caption(frame: Frame, legs: str, arms: str, *, is_shell: bool) -> str:
    """Say what a chair with a base, a seat and a back looks like."""
    noun = {
        "star": "office chair",
        "rockers": "rocking chair",
        "cantilever": "cantilever chair",
    }.get(frame.base, "chair")
    if frame.height > 0.55:
        noun = "bar chair"
    details = {
        "four legs": _LEGS.get(legs, "four legs"),
        "crossed legs": "crossed legs",
        "star": f"a star base on {legs}",
        "pedestal": f"a {legs} pedestal",
        "cantilever": "a bent tube frame",
        "sled": "sled runners",
        "rockers": "rockers",
    }[frame.base]
    if is_shell:
        body = f"{article(finish_words(frame.board))} shell"
        return f"{article(finish_words(frame.main))} {noun} with {details} and {body}"
    seat = {
        "hard": f"a {finish_words(frame.board)} seat",
        "slatted": "a slatted seat",
        "woven": "a woven straw seat",
        "padded": f"a padded {finish_words(frame.soft)} seat",
        "cushion": f"a {finish_words(frame.soft)} cushion",
    }[frame.seat]
    if frame.seat == "hard" and frame.board is frame.main:
        seat = "a hard seat"
    held = "" if arms == "none" else "arms, "
    return (
        f"{article(finish_words(frame.main))} {noun} with {details}, {held}{_BACKS[frame.back]} "
        f"and {_articled(seat)}"
    )


def armchair_caption(kind: str, legs: Finish, soft: Finish) -> str:
    """Say what an upholstered armchair looks like."""
    name = {"club": "armchair", "wing": "wing chair", "barrel": "tub chair"}[kind]
    return f"{article(finish_words(soft))} {name} with short {finish_words(legs)} legs"


def _articled(words: str) -> str:
    """Mend "a orange cushion"."""
    return article(words[2:]) if words.startswith("a ") else words
