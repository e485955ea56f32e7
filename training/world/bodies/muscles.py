"""Muscles of back, loin and buttocks, each set off from its neighbours by a layer of fat."""

from __future__ import annotations

import numpy as np

from training.world.bodies.habitus import VERTEBRAE, Habitus
from training.world.bodies.shapes import Canvas, mirrored, sheet
from training.world.materials import BONE, ID, SIDES, Material

_HARD = (*BONE, Material.CANAL, Material.CORD, Material.DISC)
_SOLID = (*_HARD, Material.LUNG, Material.AIR, Material.SKIN)


def _plane(canvas: Canvas, points: np.ndarray, thick: float) -> None:
    """A thin layer of fat around a muscle, which sets it off from its neighbours."""
    canvas.paint(
        canvas.stamps(points, np.full(len(points), thick + 2.2)), Material.FAT, over=(Material.MUSCLE,), inside=0
    )


def paint_muscles(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Gluteal, iliopsoas and back muscles; painted after the bones, never over them."""
    m = habitus.muscle * rng.uniform(0.93, 1.07)
    for name, side in SIDES:
        back = np.array([habitus.vertebra(n) for n in VERTEBRAE[:-1]])
        lumbar = np.clip((back[:, 0] + 150) / 120, 0, 1)
        line = back + np.stack([np.zeros(len(back)), 34 + 20 * lumbar, side * (22 + 11 * lumbar)], 1)
        line = np.concatenate([line, mirrored([(110, 76, 20), (140, 82, 12)], side)])
        radii = np.concatenate([(13.5 + 9.5 * lumbar) * m, [13, 7]])
        canvas.paint(
            canvas.tube(line, radii, flat=(1, 1.0, 1.2), grow=2.0), Material.FAT, over=(Material.MUSCLE,), inside=0
        )
        canvas.paint(
            canvas.tube(line, radii, flat=(1, 1.0, 1.2)), Material.MUSCLE, ID[f"autochthon_{name}"], keep=_SOLID
        )
        psoas = mirrored(
            [
                (-70, 4, 26),
                (-30, -4, 35),
                (10, -10, 41),
                (50, -18, 49),
                (95, -34, 66),
                (140, -52, 80),
                (185, -56, 88),
                (220, -32, 98),
                (246, 4, 108),
            ],
            side,
        )
        psoas_r = np.array([5, 11, 16, 19, 20, 18.5, 16, 12.5, 8]) * m
        canvas.paint(canvas.tube(psoas, psoas_r), Material.MUSCLE, ID[f"iliopsoas_{name}"], keep=_SOLID)
        flank = mirrored([(-84, 34, 50), (-20, 24, 66), (40, 20, 78), (68, 14, 88)], side)
        canvas.paint(
            canvas.tube(flank, np.array([6, 10.5, 11.5, 8]) * m, flat=(1, 0.75, 1.35)),
            Material.MUSCLE,
            0,
            over=(Material.FAT,),
        )
        crus = [
            habitus.vertebra(n) + np.array((0, -gap, side * 13))
            for n, gap in (("T11", 17), ("L1", 21), ("L2", 22), ("L3", 20))
        ]
        canvas.paint(
            canvas.tube(crus, np.array([5, 5.5, 4, 2.5]), flat=(1, 1, 0.8)), Material.MUSCLE, 0, over=(Material.FAT,)
        )
        levator = sheet(
            mirrored([(190, -38, 50), (186, 0, 52), (184, 38, 44)], side),
            mirrored([(222, -34, 9), (232, 8, 13), (230, 42, 8)], side),
            2.5,
        )
        canvas.paint(canvas.stamps(levator, np.full(len(levator), 2.4)), Material.MUSCLE, 0, over=(Material.FAT,))
        iliacus = sheet(
            mirrored([(66, -42, 114), (58, -5, 112), (70, 28, 88)], side),
            mirrored([(140, -52, 86), (140, -36, 82), (132, 2, 70)], side),
            5.0,
        )
        canvas.paint(
            canvas.stamps(iliacus, np.full(len(iliacus), 8.5 * m)),
            Material.MUSCLE,
            ID[f"iliopsoas_{name}"],
            keep=_SOLID,
        )
        minimus = sheet(
            mirrored([(102, -38, 124), (96, -10, 122), (112, 20, 104)], side),
            mirrored([(186, -28, 122), (186, -16, 126), (184, -4, 124)], side),
            5.0,
        )
        canvas.paint(
            canvas.stamps(minimus, np.full(len(minimus), 8.0 * m)),
            Material.MUSCLE,
            ID[f"gluteus_minimus_{name}"],
            keep=_SOLID,
        )
        medius = sheet(
            mirrored([(68, -48, 140), (56, -4, 140), (70, 46, 104)], side),
            mirrored([(186, -18, 142), (188, 0, 144), (186, 14, 136)], side),
            5.0,
        )
        _plane(canvas, medius, 12.5 * m)
        canvas.paint(
            canvas.stamps(medius, np.full(len(medius), 12.5 * m)),
            Material.MUSCLE,
            ID[f"gluteus_medius_{name}"],
            over=(Material.MUSCLE, Material.FAT, Material.SUBCUTANEOUS),
            inside=0,
        )
        upper = mirrored([(88, 82, 44), (120, 84, 28), (165, 82, 18), (195, 74, 20)], side)
        lower = mirrored([(176, 40, 132), (206, 44, 132), (240, 42, 120), (258, 52, 100)], side)
        maximus = sheet(upper, lower, 5.0)
        maximus[:, 1] += 14 * np.sin(np.pi * np.clip((np.abs(maximus[:, 2]) - 20) / 110, 0, 1))
        _plane(canvas, maximus, 16.5 * m)
        canvas.paint(
            canvas.stamps(maximus, np.full(len(maximus), 16.5 * m)),
            Material.MUSCLE,
            ID[f"gluteus_maximus_{name}"],
            over=(Material.MUSCLE, Material.FAT, Material.SUBCUTANEOUS),
            inside=0,
        )
