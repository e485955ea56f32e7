"""Organs as a report names them: "both kidneys", "L3-L5", "the left 4th to 6th ribs", "the right lower lobe"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_ctvlp.anatomy.organs import GROUPS, display_name, ordinal

LOBES = tuple(o for o in GROUPS["lung"])
VERTEBRAE = tuple(o for o in GROUPS["vertebrae"])
_LOBE_WORDS = {
    "lung_upper_lobe_left": ("the left upper lobe", "the LUL", "the upper lobe of the left lung"),
    "lung_lower_lobe_left": ("the left lower lobe", "the LLL", "the lower lobe of the left lung"),
    "lung_upper_lobe_right": ("the right upper lobe", "the RUL", "the upper lobe of the right lung"),
    "lung_middle_lobe_right": ("the right middle lobe", "the middle lobe", "the RML"),
    "lung_lower_lobe_right": ("the right lower lobe", "the RLL", "the lower lobe of the right lung"),
}
_PAIRS = {
    "kidney": ("both kidneys", "the kidneys bilaterally", "the left and right kidneys"),
    "adrenal_gland": ("both adrenal glands", "the adrenal glands bilaterally"),
    "iliopsoas": ("both psoas muscles", "both iliopsoas muscles"),
    "femur": ("both femora", "the femurs bilaterally"),
    "hip": ("both hip bones",),
    "autochthon": ("the paraspinal muscles", "the paraspinal muscles bilaterally"),
}
_SINGLE = {
    "esophagus": ("the esophagus", "the distal esophagus"),
    "small_bowel": ("the small bowel", "small bowel loops"),
    "urinary_bladder": ("the urinary bladder", "the bladder"),
    "colon": ("the colon", "the sigmoid colon", "the large bowel"),
    "thyroid_gland": ("the thyroid gland", "the thyroid"),
}


def place(organs: Sequence[str], view: Sequence[str], rng: np.random.Generator) -> str:
    """A phrase that means just these organs among those in view."""
    names = tuple(dict.fromkeys(organs))
    if all(n.startswith("vertebrae_") for n in names):
        return _levels(names, view, rng)
    if all(n.startswith("rib_") for n in names):
        return _ribs(names)
    if all(n in LOBES for n in names):
        return _lobes(names, view, rng)
    stems = {n.removesuffix("_left").removesuffix("_right") for n in names}
    if len(names) == 2 and len(stems) == 1:
        pair = _PAIRS.get(next(iter(stems)))
        if pair:
            return _one(pair, rng)
    gluteal = tuple(n for n in view if n in GROUPS["gluteal muscles"])
    if gluteal and set(names) & set(gluteal) == set(gluteal):
        rest = [n for n in names if n not in gluteal]
        return join([*([place(rest, view, rng)] if rest else []), "the gluteal muscles"])
    if len(names) == 1:
        return _one(_SINGLE.get(names[0], (f"the {display_name(names[0])}",)), rng)
    return join([f"the {display_name(n)}" for n in names])


def join(words: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _one(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _levels(names: tuple[str, ...], view: Sequence[str], rng: np.random.Generator) -> str:
    wanted = sorted(names, key=VERTEBRAE.index)
    for region in ("lumbar", "thoracic"):
        if len(wanted) > 1 and set(wanted) == set(GROUPS[f"{region} spine"]) & set(view):
            return f"the {region} spine"
    both = (set(GROUPS["thoracic spine"]) | set(GROUPS["lumbar spine"])) & set(view)
    if len(wanted) > 2 and set(wanted) == both:
        return _one(("the thoracic and lumbar spine", "the spine"), rng)
    runs: list[list[str]] = []
    for name in wanted:
        if runs and VERTEBRAE.index(name) == VERTEBRAE.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    short = [[n.removeprefix("vertebrae_") for n in (run[0], run[-1])] for run in runs]
    if len(wanted) == 1:
        level = short[0][0]
        return _one((level, f"the {level} vertebra", f"the {level} vertebral body"), rng)
    dash = _one(("-", " to ", " through "), rng)
    return join([a if a == b else f"{a}{dash}{b}" for a, b in short])


def _ribs(names: tuple[str, ...]) -> str:
    parts = []
    for side in ("left", "right"):
        numbers = sorted(int(n.rsplit("_", 1)[1]) for n in names if f"_{side}_" in n)
        if not numbers:
            continue
        words = [ordinal(n) for n in numbers]
        straight = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
        spoken = f"{words[0]} to {words[-1]}" if straight else join(words)
        parts.append(f"the {side} {spoken} rib{'s' if len(numbers) > 1 else ''}")
    return join(parts)


def _lobes(names: tuple[str, ...], view: Sequence[str], rng: np.random.Generator) -> str:
    lungs = {side: {n for n in LOBES if n in view and n.endswith(side)} for side in ("left", "right")}
    if len(names) > 1:
        if set(names) == lungs["left"] | lungs["right"] and all(lungs.values()):
            return _one(("both lungs", "the lungs"), rng)
        for side, lobes in lungs.items():
            if set(names) == lobes:
                return f"the {side} lung"
        for level in ("upper", "lower"):
            if set(names) == {n for n in LOBES if level in n}:
                return f"both {level} lobes"
    words = [_one(_LOBE_WORDS[n], rng) for n in names]
    return join(words)
