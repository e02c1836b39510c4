"""Labels and captions of chairs."""

from get3d_shapes.chair.frame import Frame
from get3d_shapes.design import article, with_details
from get3d_shapes.finishes import Fabric, Finish

_LEGS = {
    "straight": "four straight legs",
    "tapered": "four tapered legs",
    "turned": "four turned legs",
    "tube": "four metal legs",
}
_PATTERNS = {
    "plain": "",
    "stripes": "striped ",
    "thin stripes": "pinstriped ",
    "checks": "checked ",
    "dots": "dotted ",
    "zigzag": "zigzag ",
    "diamonds": "diamond-patterned ",
}
_BASES = {
    "crossed legs": "crossed legs",
    "cantilever": "a bent tube frame",
    "sled": "sled runners",
    "rockers": "rockers",
}
_NOUNS = {"star": "office chair", "rockers": "rocking chair", "cantilever": "cantilever chair"}
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
    material = finish.kind
    if isinstance(finish, Fabric) and material == "fabric":
        material = _PATTERNS[finish.pattern] + "fabric"
    elif material in ("wood", "metal", "rush"):
        material = "steel" if finish.color_name == "black" else ""
    elif material == "painted wood":
        material = "painted"
    return f"{finish.color_name} {material}".rstrip()


def chair_labels(
    base: str, legs: str, back: str, arms: str, seat: str, seat_finish: Finish, frame: Finish
) -> dict[str, str]:
    """Collect the labels of a chair; `frame` is the finish of its legs."""
    pattern = seat_finish.pattern if isinstance(seat_finish, Fabric) else "plain"
    return {
        "base": base,
        "legs": legs,
        "back": back,
        "arms": arms,
        "seat": seat,
        "seat_material": seat_finish.kind,
        "seat_color": seat_finish.color_name,
        "seat_pattern": "plain" if seat == "woven" else pattern,
        "frame_material": frame.kind,
        "frame_color": frame.color_name,
    }


def chair_caption(frame: Frame, legs: str, arms: str) -> str:
    """Write the caption of a chair with a base, a seat and a back."""
    noun = "bar chair" if frame.height > 0.55 else _NOUNS.get(frame.base, "chair")
    name = f"{article(finish_words(frame.main))} {noun}"
    bases = {"star": f"a star base on {legs}", "pedestal": f"a {legs} pedestal"} | _BASES
    base = bases.get(frame.base) or _LEGS[legs]
    if frame.seat == "shell":
        return with_details(name, [base, f"{article(finish_words(frame.board))} shell"])
    seat = {
        "hard": "hard" if frame.board is frame.main else finish_words(frame.board),
        "slatted": "slatted",
        "woven": "woven straw",
        "padded": f"padded {finish_words(frame.soft)}",
        "cushion": finish_words(frame.soft),
    }[frame.seat]
    seat = f"{article(seat)} {'cushion' if frame.seat == 'cushion' else 'seat'}"
    held = [] if arms == "none" else ["arms"]
    return with_details(name, [base, *held, _BACKS[frame.back], seat])


def armchair_caption(kind: str, legs: Finish, soft: Finish) -> str:
    """Write the caption of an upholstered armchair."""
    name = {"club": "armchair", "wing": "wing chair", "barrel": "tub chair"}[kind]
    return f"{article(finish_words(soft))} {name} with short {finish_words(legs)} legs"
