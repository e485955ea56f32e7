"""The head: scalp and face, skull with its sinuses and orbits, eyes, brain."""

from __future__ import annotations

import numpy as np

from training.world.bodies.habitus import Habitus
from training.world.bodies.shapes import Canvas, Float, Region, mirrored, sheet, waves
from training.world.bodies.solid import bone
from training.world.materials import BONE, ID, SIDES, Material

_BRAIN = np.array([-561.0, -18.0, 0.0])
_INNER = np.array([66.0, 84.0, 67.0])
_SOFT = (Material.MUSCLE, Material.FAT, Material.SUBCUTANEOUS, Material.SOFT)


def paint_outline(canvas: Canvas, habitus: Habitus, layer: Material) -> None:
    """One layer, fat or muscle, of scalp, face and upper neck."""
    fat = layer == Material.SUBCUTANEOUS
    thick = 2.0 + 0.12 * habitus.fat
    face = 1.0 + 0.10 * habitus.fat
    grow, over = (0.0, (Material.AIR,)) if fat else (-1.0, (Material.AIR, Material.SUBCUTANEOUS))
    scalp = _INNER + 7 + (2.5 + thick if fat else 2.5)
    parts = [
        canvas.blob(_BRAIN, scalp, power=2.15),
        canvas.blob((-508, -60, 0), np.array([56, 51, 61]) + (face if fat else -2), power=2.5),
        canvas.blob((-466, -66, 0), np.array([22, 43, 42]) + (face if fat else -2), power=2.4),
    ]
    if fat:
        parts += [canvas.tube([(-540, -108, 0), (-517, -122, 0)], [8, 13]), canvas.blob((-478, -108, 0), (15, 12, 26))]
        parts += [canvas.blob((-516, 0, side * 80), (28, 15, 7)) for _, side in SIDES]
    neck = [(-515, 6, 0), (-470, 2, 0), (-430, 2, 0), (-405, 3, 0)]
    width = np.array([58.0, 54, 53, 54]) + (0.2 * habitus.fat + 3 if fat else 0)
    floor_of_mouth = [(-470, -62, 0), (-450, -46, 0), (-430, -22, 0)]
    parts.append(canvas.tube(floor_of_mouth, np.array([24.0, 28, 30]) + (0.7 * face if fat else 0), flat=(0.8, 1, 1.3)))
    parts.append(canvas.tube(neck, width + grow, flat=(0.4, 1.0, 1.0)))
    for part in parts:
        canvas.paint(part, layer, over=over)


def paint_head(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Skull, face, sinuses, eyes and brain; painted after the wall and before the neck."""
    _paint_vault(canvas, rng)
    _paint_face(canvas, rng)
    _paint_brain(canvas, habitus, rng)
    _paint_orbits(canvas)


def _floor(p: Float, x: Float) -> Float:
    """Height i of the skull's floor, which rises in front: fossae for the frontal and temporal lobes, the deepest for
    the cerebellum."""
    at = [-105, -62, -52, -30, -18, 10, 70]
    floor = np.interp(p, at, [-541, -537, -522, -520, -508, -496, -500]).astype(np.float32)
    floor = floor - np.where((p < -20) & (p > -58), 0.9 * np.clip(30 - np.abs(x), 0, 16), 0).astype(np.float32)
    temporal = (p > -56) & (p < -12) & (np.abs(x) > 26)
    return np.where(temporal, np.float32(-507), floor)


def _paint_vault(canvas: Canvas, rng: np.random.Generator) -> None:
    skull = ID["skull"]
    thick = rng.uniform(5.2, 7.0)
    vault = canvas.blob(_BRAIN, _INNER + thick, power=2.2)
    i, p, x = canvas.grid(vault.box)
    bone(canvas, Region(vault.box, vault.mask & (i < _floor(p, x) + 8)), skull, 1.8)
    # the base is thicker: petrous bones, the sphenoid's body and the clivus
    for _, side in SIDES:
        petrous = canvas.tube(mirrored([(-512, 12, 62), (-512, -6, 40), (-514, -24, 16)], side), [15, 12, 9])
        bone(canvas, petrous, skull, 2.5)
        mastoid = mirrored([(-512, 18, 60), (-490, 14, 56)], side)
        bone(canvas, canvas.tube(mastoid, [15, 9]), skull, 1.2)
        cells = canvas.tube(mirrored([(-512, 16, 60), (-496, 14, 57)], side), [11, 6])
        airy = waves(rng, canvas.grid(cells.box), 9.0, 5) > 0.0
        canvas.paint(Region(cells.box, cells.mask & airy), Material.AIRWAY, inside=skull)
        ear = mirrored([(-515, -4, 44), (-514, -4, 80)], side)
        canvas.paint(canvas.tube(ear, 3.5), Material.AIRWAY, over=(*BONE, *_SOFT))
        condyle = mirrored([(-494, -2, 15), (-487, -4, 18)], side)
        bone(canvas, canvas.tube(condyle, 7.5), skull, 1.2)
    bone(
        canvas, canvas.tube([(-526, -42, 0), (-512, -28, 0), (-496, -16, 0)], [16, 11, 8], flat=(1, 1, 1.3)), skull, 1.5
    )
    canvas.paint(canvas.blob((-524, -48, 0), (10, 12, 14)), Material.AIRWAY, inside=skull)
    if rng.random() < 0.85:
        s = rng.uniform(0.5, 1.3)
        canvas.paint(canvas.blob((-556, -101, 2), np.array([14, 3.5, 20]) * (s, 1, s)), Material.AIRWAY, inside=skull)


def _paint_face(canvas: Canvas, rng: np.random.Generator) -> None:
    skull = ID["skull"]
    maxilla = canvas.blob((-508, -76, 0), (19, 27, 36), power=2.6)
    bone(canvas, maxilla, skull, 1.2, Material.FAT)
    palate = canvas.blob((-487, -76, 0), (2.2, 25, 23))
    bone(canvas, palate, skull, 1.5)
    for _, side in SIDES:
        zygoma = mirrored([(-522, -84, 52), (-515, -66, 64), (-514, -40, 67), (-514, -20, 64)], side)
        bone(canvas, canvas.tube(zygoma, [7, 6, 3.6, 4]), skull, 1.0)
        rim = mirrored([(-545, -94, 16), (-552, -92, 34), (-540, -84, 50), (-522, -84, 50)], side)
        bone(canvas, canvas.tube(rim, [5, 5, 5, 5.5]), skull, 1.2)
        nasal = mirrored([(-540, -104, 4), (-524, -108, 9), (-505, -98, 15)], side)
        bone(canvas, canvas.tube(nasal, 2.8), skull, 1.0)
        pterygoid = mirrored([(-515, -46, 16), (-492, -48, 17)], side)
        bone(canvas, canvas.tube(pterygoid, 3.4), skull, 1.0)
        ramus = mirrored([(-512, -26, 52), (-490, -32, 50), (-468, -42, 46), (-460, -66, 36), (-455, -92, 14)], side)
        bone(canvas, canvas.tube(np.concatenate([ramus, [(-454, -98, 0)]]), [7, 6, 7.5, 8, 8.5, 9]), skull, 1.8)
        crown = mirrored([(-513, -48, 47), (-492, -46, 47)], side)
        bone(canvas, canvas.tube(crown, [3, 5]), skull, 1.0)
        sinus = canvas.blob(mirrored((-505, -72, 24), side), np.array([15, 17, 9.5]) * rng.uniform(0.85, 1.05))
        canvas.paint(sinus, Material.AIRWAY, inside=skull)
        # teeth of both jaws
        for i, front, back, half in ((-478, -101, -62, 25), (-469, -99, -60, 24)):
            arch = [(i, back, half), (i, (front + back) / 2 - 8, half - 4), (i, front, 5), (i, front, 0)]
            canvas.paint(canvas.tube(mirrored(arch, side), 4.2), Material.CORTEX, skull)
    nose = canvas.blob((-508, -78, 0), (17, 30, 12), power=2.4)
    canvas.paint(nose, Material.AIRWAY, keep=(Material.AIR,))
    canvas.labels[nose.box][nose.mask] = 0
    lean = rng.normal(0, 2.5)
    septum = sheet(
        [(-524, -102, 0), (-524, -75, lean), (-522, -50, 0)], [(-492, -104, 0), (-491, -75, 0), (-492, -50, 0)], 2
    )
    canvas.paint(canvas.stamps(septum, np.full(len(septum), 1.3)), Material.SOFT, over=(Material.AIRWAY,))
    for _, side in SIDES:
        for i in (-514, -500):
            concha = mirrored([(i, -96, 8), (i - 1, -76, 8), (i, -56, 8)], side)
            canvas.paint(canvas.tube(concha, 4.0, flat=(1, 1, 0.7)), Material.SOFT, over=(Material.AIRWAY,))
        cells = canvas.blob(mirrored((-532, -76, 8), side), (11, 20, 6))
        canvas.paint(cells, Material.AIRWAY, over=(*BONE, *_SOFT))
        walls = np.abs(waves(rng, canvas.grid(cells.box), 14.0, 4)) < 0.13
        canvas.paint(Region(cells.box, cells.mask & walls), Material.CORTEX, skull)


def _paint_orbits(canvas: Canvas) -> None:
    for _, side in SIDES:
        apex = mirrored((-533, -50, 14), side)
        ball = mirrored((-532, -90, 31), side)
        cone = canvas.tube([apex, (apex + ball) / 2, ball], [5, 14, 18])
        canvas.paint(cone, Material.FAT, over=(*BONE, *_SOFT, Material.AIRWAY), keep=(Material.SKIN,))
        canvas.labels[cone.box][cone.mask] = 0
        for shift in ((0, 0, 9), (0, 0, -9), (-9, 0, 0), (9, 0, 0)):
            rectus = [
                apex,
                (apex + ball) / 2 + mirrored(shift, side),
                ball + mirrored(shift, side) * 1.2 + np.array((0, 4, 0)),
            ]
            canvas.paint(canvas.tube(rectus, 1.9), Material.MUSCLE, over=(Material.FAT,))
        canvas.paint(canvas.tube([apex, ball], 2.3), Material.SOFT, over=(Material.FAT,))
        canvas.paint(canvas.blob(ball, (12.2, 12.2, 12.2)), Material.EYE, keep=(Material.AIR, Material.SKIN))
        canvas.paint(canvas.blob(ball + np.array((0, -8.5, 0)), (4.5, 2.2, 4.5)), Material.SOFT, inside=0)


def _paint_brain(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    brain = ID["brain"]
    hollow = canvas.blob(_BRAIN, _INNER, power=2.2)
    over = (*BONE, Material.MUSCLE, Material.FAT, Material.SUBCUTANEOUS)
    i, p, x = canvas.grid(hollow.box)
    floor = _floor(p, x)
    mask = hollow.mask & (i < floor)
    canvas.paint(Region(hollow.box, mask), Material.CSF, brain, over=over)
    tissue, labels = canvas.tissue[hollow.box], canvas.labels[hollow.box]
    mask = (labels == brain) & (tissue == Material.CSF)
    d = [(a - c) / r for a, c, r in zip((i, p, x), _BRAIN, _INNER, strict=True)]
    depth = 1 - np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2).astype(np.float32)
    depth = np.minimum(depth, (floor - i) / np.float32(70))
    old = max(0.0, habitus.age - 50) / 40
    folds = waves(rng, (i, p, x), 24.0, 7)
    shrunk = np.float32(0.018 + 0.03 * old)
    pulp = mask & (depth > shrunk) & ~_clefts(depth, folds, (i, p, x), old)
    tissue[pulp] = Material.GREY_MATTER
    small = waves(rng, (i, p, x), 13.0, 5)
    hind = (i > -528 - 0.25 * (p - 10)) & (p > 4)  # the cerebellum, finely leaved
    inner = np.where(hind, 0.16 + 0.12 * small, 0.10 + 0.14 * folds + 0.03 * small)
    white = pulp & (depth > inner + shrunk)
    white &= ~hind | (np.abs(x) > 7)
    tissue[white] = Material.WHITE_MATTER
    _paint_depths(canvas, old, rng)


def _clefts(depth: Float, folds: Float, grid: tuple[Float, Float, Float], old: float) -> np.ndarray:
    """Sulci between the folds of the cortex, the fissure between the hemispheres, Sylvian fissures, cisterns."""
    i, p, x = grid
    sulci = (np.abs(folds) < 0.018 + 0.03 * old) & (depth < 0.2)
    middle = (np.abs(x) < 1.2) & ((depth < 0.42) | (p < -60)) & (i < -525)
    side = np.abs(x)
    sylvian = (np.abs(i + 545 + 0.5 * (p + 30)) < 1.6 + 2 * old) & (side > 34) & (p < 12) & (p > -62)
    basal = (side < 16) & (p < 0) & (p > -38) & (i > -528) & (i < -512)
    return sulci | middle | sylvian | basal


def _paint_depths(canvas: Canvas, old: float, rng: np.random.Generator) -> None:
    """Basal ganglia, brain stem and ventricles, which widen with age."""
    brain = ID["brain"]
    wide = rng.uniform(0.75, 1.1) + 0.5 * old
    stem = canvas.tube([(-538, -8, 0), (-520, -12, 0), (-504, -5, 0), (-486, -2, 0)], [14, 14, 9, 6.5])
    canvas.paint(stem, Material.WHITE_MATTER, brain, keep=(*BONE, Material.SOFT))
    for _, side in SIDES:
        for centre, radii in (
            ((-553, -10, 13), (11, 15, 9)),
            ((-558, -30, 23), (13, 17, 6)),
            ((-565, -40, 14), (9, 11, 5)),
        ):
            body = canvas.blob(mirrored(centre, side), radii)
            canvas.paint(body, Material.GREY_MATTER, inside=brain)
        horn = [(-566, -56, 13), (-572, -34, 9), (-577, -8, 12), (-568, 22, 22), (-556, 34, 24)]
        canvas.paint(
            canvas.tube(mirrored(horn, side), np.array([3.4, 5.0, 5.0, 6.0, 3.5]) * wide), Material.CSF, inside=brain
        )
        temporal = [(-566, 22, 23), (-545, 10, 34), (-533, -14, 34)]
        canvas.paint(
            canvas.tube(mirrored(temporal, side), np.array([5.0, 2.4, 2.0]) * wide), Material.CSF, inside=brain
        )
    third = sheet([(-566, -28, 0), (-566, -14, 0), (-562, 0, 0)], [(-545, -26, 0), (-543, -14, 0), (-548, 0, 0)], 2.0)
    canvas.paint(canvas.stamps(third, np.full(len(third), 1.6 + wide)), Material.CSF, inside=brain)
    canvas.paint(canvas.blob((-517, 8, 0), (8, 5, 7 * wide)), Material.CSF, inside=brain)
