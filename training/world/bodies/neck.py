"""The neck: atlas, airway, gullet, thyroid, vessels and the muscles around them."""

from __future__ import annotations

import numpy as np

from training.world.bodies.habitus import Habitus
from training.world.bodies.shapes import Canvas, mirrored
from training.world.bodies.solid import bone
from training.world.materials import BONE, ID, SIDES, Material

_SOFT = (Material.FAT, Material.MUSCLE, Material.SOFT)
_CORE = (*BONE, Material.CANAL, Material.CORD, Material.DISC)


def paint_atlas(canvas: Canvas, habitus: Habitus) -> None:
    """A ring about the dens, which C2 sends up."""
    c = habitus.vertebra("C1")
    label = ID["vertebrae_C1"]
    angle = np.deg2rad(np.arange(0, 361, 30))
    ring = c + np.stack([0 * angle, 10 + 22 * np.cos(angle), 22 * np.sin(angle)], 1)
    bone(canvas, canvas.tube(ring, 4.6, flat=(1.2, 0.9, 1)), label, 1.2)
    for _, side in SIDES:
        bone(canvas, canvas.blob(c + mirrored((0, 4, 20), side), (9, 9, 8)), label, 1.2)
        wing = [c + mirrored((0, 6, 24), side), c + mirrored((1, 8, 36), side)]
        bone(canvas, canvas.tube(wing, [6, 4.5]), label, 1.2)
    bone(
        canvas, canvas.tube([c + np.array((16, 1, 0)), c + np.array((-7, -3, 0))], [6.5, 5.0]), ID["vertebrae_C2"], 1.2
    )


def paint_neck(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Fatty planes, vessels, airway with its cartilages, thyroid; painted after spine and skull."""
    _paint_muscles(canvas, habitus, rng)
    _paint_vessels(canvas, rng)
    throat = [
        (-512, -48, 0),
        (-497, -42, 0),
        (-472, -36, 0),
        (-445, -33, 0),
        (-428, -36, 0),
        (-410, -36, 0),
        (-398, -35, 0),
    ]
    canvas.paint(canvas.tube(throat, [12, 13, 12.5, 13, 11, 11, 11.5]), Material.SOFT, over=_SOFT)
    air = canvas.tube(throat, [8, 8, 7, 7.5, 5, 4.5, 8], flat=(1, 0.8, 1.25))
    canvas.paint(air, Material.AIRWAY, keep=_CORE)
    mouth = [(-480, -44, 0), (-486, -66, 0), (-482, -88, 0)]
    canvas.paint(canvas.tube(mouth, [3, 2.2, 2.5], flat=(1, 1, 4)), Material.AIRWAY, over=_SOFT)
    for _, side in SIDES:
        hyoid = mirrored([(-442, -60, 0), (-443, -54, 16), (-447, -36, 22)], side)
        bone(canvas, canvas.tube(hyoid, [4.5, 3.5, 2.4]), 0, 1.0)
        shield = mirrored([(-422, -54, 1), (-420, -46, 11), (-418, -30, 17)], side)
        canvas.paint(canvas.tube(shield, [2.4, 2.2, 2.2], flat=(4.5, 1, 1)), Material.CARTILAGE, 0, over=_SOFT)
        gland = rng.uniform(0.85, 1.2)
        lobe = canvas.blob(
            mirrored((-388 + rng.normal(0, 3), -29, 19), side), np.array([24, 10, 9.5]) * gland, turn=(0, 0, side * 8)
        )
        canvas.paint(lobe, Material.THYROID, ID["thyroid_gland"], over=(*_SOFT, Material.VEIN))
        parotid = canvas.blob(mirrored((-498, -14, 58), side), (20, 14, 9))
        canvas.paint(parotid, Material.FAT, over=(Material.MUSCLE,))
        jaw = canvas.blob(mirrored((-455, -48, 32), side), (12, 16, 9))
        canvas.paint(jaw, Material.SOFT, over=_SOFT)
    cricoid = canvas.tube([(-402, -35, 0), (-396, -35, 0)], 12.5)
    canvas.paint(cricoid, Material.CARTILAGE, 0, over=_SOFT)
    canvas.paint(
        canvas.tube([(-384, -46, 12), (-383, -48, 0), (-384, -46, -12)], 4.2),
        Material.THYROID,
        ID["thyroid_gland"],
        over=_SOFT,
    )


def _paint_muscles(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Sternomastoids, scalenes, deep and back muscles, each in a sleeve of fat."""
    m = habitus.muscle * rng.uniform(0.95, 1.05)
    wide = 1.2 + 0.05 * habitus.fat
    for _, side in SIDES:
        paths = (
            ([(-492, 16, 58), (-450, -14, 48), (-400, -40, 32), (-345, -58, 14)], [9, 9, 8, 6], (1, 1.3, 0.8)),
            ([(-460, 2, 24), (-420, 2, 32), (-380, 4, 42), (-345, -4, 58)], [7, 8, 9, 8], (1, 1, 1)),
            ([(-480, 18, 36), (-430, 22, 40), (-380, 26, 46), (-330, 60, 70)], [8, 9, 9, 8], (1, 1.2, 0.8)),
            ([(-484, 48, 18), (-430, 46, 20), (-380, 58, 24)], [13, 14, 14], (1, 0.8, 1.2)),
            ([(-478, 34, 18), (-430, 32, 18), (-380, 42, 18)], [11, 11, 11], (1, 0.8, 1.2)),
            ([(-480, -20, 9), (-430, -24, 8), (-370, -14, 9)], [5, 6, 5], (1, 0.8, 1.2)),
        )
        for path, radii, flat in paths:
            line, r = mirrored(path, side), np.array(radii) * m
            sleeve = canvas.tube(line, r + wide, flat=flat)
            canvas.paint(sleeve, Material.FAT, over=(Material.MUSCLE,), inside=0)
        for path, radii, flat in paths:
            muscle = canvas.tube(mirrored(path, side), np.array(radii) * m, flat=flat)
            canvas.paint(muscle, Material.MUSCLE, over=(Material.FAT,), inside=0)


def _paint_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Carotids from the arch to the skull, jugular and vertebral vessels; the common carotids end at C4."""
    soft = (*_SOFT, Material.VEIN)
    for name, side in SIDES:
        start = [(-296, -14, 8), (-335, -22, 20)] if side > 0 else [(-340, -26, 24), (-352, -26, 26)]
        path = [*start, (-370, -24, 27), (-400, -22, 27), (-432, -22, 28)]
        line = mirrored(path, side) if side < 0 else np.array(path, float)
        if side > 0:
            line = np.array(path, float)
        sheath = canvas.tube(mirrored([(-355, -24, 30), (-400, -20, 31), (-460, -14, 33)], side), 11)
        canvas.paint(sheath, Material.FAT, over=(Material.MUSCLE,))
        jugular = [(-490, -6, 34), (-450, -14, 36), (-410, -16, 38), (-370, -22, 40), (-348, -32, 42)]
        big = rng.uniform(4.5, 7.5)
        canvas.paint(
            canvas.tube(mirrored(jugular, side), np.array([3.5, big, big, big, big])), Material.VEIN, over=_SOFT
        )
        canvas.paint(canvas.tube(line, 3.9), Material.ARTERY, ID[f"common_carotid_artery_{name}"], over=soft)
        for up in (
            [(-432, -22, 28), (-460, -14, 27), (-494, -14, 24)],
            [(-432, -22, 28), (-462, -26, 34), (-490, -22, 50)],
        ):
            canvas.paint(canvas.tube(mirrored(up, side), [3.8, 2.8, 2.4]), Material.ARTERY, over=soft)
        vertebral = mirrored([(-350, -4, 30), (-385, 2, 19), (-440, -4, 19), (-474, 0, 26)], side)
        canvas.paint(canvas.tube(vertebral, 2.0), Material.ARTERY, over=soft)
