"""Skin, fat and muscle of neck, trunk and thighs, and the cavity that the organs take."""

from __future__ import annotations

import numpy as np

from training.world.bodies import head, limbs
from training.world.bodies.habitus import Habitus, cavity, lean
from training.world.bodies.shapes import Canvas, Float, Region, waves
from training.world.materials import Material

_NECK, _GROIN = -430.0, 318.0
_FAT_I = (-430, -390, -340, -220, -120, 0, 90, 170, 240, 345)
_FAT_SHARE = (0.25, 0.35, 0.5, 0.5, 0.6, 1.0, 1.25, 1.25, 1.0, 0.8)


def paint_wall(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """All that is seen from outside, from fat to muscle, then the trunk's cavity and the skin."""
    box = canvas.box((_NECK, -400, -250), (_GROIN, 400, 250))
    i, p, x = canvas.grid(box)
    tissue = canvas.tissue[box]
    skin, muscle = _levels(habitus, i, p, x, rng)
    split = ((np.abs(x) < 2.5) & (i > 272)) | ((np.abs(x) < 1.3) & (i > 175) & (p > 74))
    tissue[(skin < 1) & ~split] = Material.SUBCUTANEOUS
    _paint_breasts(canvas, habitus, rng)
    for layer in (Material.SUBCUTANEOUS, Material.MUSCLE):
        limbs.paint_legs(canvas, habitus, layer)
        limbs.paint_arms(canvas, habitus, layer)
        head.paint_outline(canvas, habitus, layer)
    tissue[(muscle < 1) & (i < 300) & ~split] = Material.MUSCLE
    _paint_planes(tissue, muscle, (i, p, x), habitus, rng)
    limbs.part_muscles(canvas, habitus, rng)
    # the back muscles keep the cavity away from the spine's arches
    spine, shift = (v.astype(np.float32) for v in habitus.spine(i))
    reach = np.interp(i, [-160, -90], [22, 42]).astype(np.float32)
    deep = np.interp(i, [-75, -30], [46, min(46.0, 27 + 0.8 * habitus.visceral)]).astype(np.float32)
    back = spine + 34 + deep * np.clip((np.abs(x - shift) - reach) / 36, 0, 1)
    tissue[(cavity(i, p, x) < 1) & ((p < back) | (i > 100))] = Material.FAT
    _paint_skin(canvas.tissue)


def _levels(habitus: Habitus, i: Float, p: Float, x: Float, rng: np.random.Generator) -> tuple[Float, Float]:
    """Levels of skin and muscle surface; below the groin the trunk narrows and the thighs take over."""
    fat = (habitus.fat * np.interp(i, _FAT_I, _FAT_SHARE) + 3).astype(np.float32)
    front = np.interp(p, [-130, -60, 60, 110], [1.15, 0.85, 0.85, 1.25]).astype(np.float32)
    uneven = (1.0 + 0.035 * waves(rng, (i, p, x), 190.0)).astype(np.float32)
    end = (1 + np.clip((i - 236) / 60, 0, 1) ** 2 * 12).astype(np.float32)
    return lean(i, p, x, fat, front) * uneven * end, lean(i, p, x, 4 * (habitus.muscle - 1)) * end


def _paint_planes(
    tissue: np.ndarray, level: Float, grid: tuple[Float, Float, Float], habitus: Habitus, rng: np.random.Generator
) -> None:
    """Fat between the muscles of the shoulder girdle and of the buttocks, layers in the flank, the line between the
    recti."""
    i, p, x = grid
    planes = waves(rng, (i * np.float32(0.3), p, x), 85.0, 5)
    thin = np.interp(i, [-430, -330, -290, 120, 200, 320], [0.026, 0.026, 0.0, 0.0, 0.017, 0.02]).astype(np.float32)
    wide = 0.6 + 0.03 * habitus.fat + 0.008 * max(0.0, habitus.age - 40)
    muscle = tissue == Material.MUSCLE
    fat = (np.abs(planes) < thin * wide) & (np.abs(x) > 20)
    chest = (np.abs(level - 0.87 + 0.04 * planes) < 0.024 * wide) & (i < -110) & (i > -335)
    fat |= chest
    # recti: the midline and the outer border towards the flank
    belly = (i > -130) & (i < 215) & (p < -60)
    fat |= belly & (np.abs(x) < 1.4)
    edge = 66 - 0.13 * np.clip(i, 0, 200)
    fat |= belly & (np.abs(np.abs(x) - edge) < 1.3) & (p < -75)
    flank = (np.abs(level - 0.86 + 0.015 * planes) < 0.014 * wide) & (i > -60) & (i < 75) & (np.abs(x) > 75) & (p < 40)
    fat |= flank
    tissue[fat & muscle] = Material.FAT


def _paint_breasts(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Fat with strands of gland, fewer with age; flattened to the sides, as they lie."""
    if habitus.sex != "female":
        return
    size = rng.uniform(0.65, 1.3) * (0.85 + 0.008 * habitus.fat)
    dense = rng.normal(0.75, 0.45) + max(0.0, habitus.age - 35) * 0.012
    for side in (1, -1):
        centre = np.array([-226, -108 - habitus.fat * 0.35, side * 84])
        breast = canvas.blob(centre, np.array([58, 34, 60]) * size, turn=(0, 0, 0), wobble=0.05, rng=rng)
        canvas.paint(breast, Material.SUBCUTANEOUS, over=(Material.AIR, Material.SUBCUTANEOUS))
        gland = canvas.blob(centre + np.array((0, -4, 0)), np.array([38, 24, 42]) * size)
        strands = waves(rng, canvas.grid(gland.box), 20.0, 6) > dense * 0.4
        canvas.paint(Region(gland.box, gland.mask & strands), Material.SOFT, over=(Material.SUBCUTANEOUS,))


def _paint_skin(tissue: np.ndarray) -> None:
    inside = tissue != Material.AIR
    core = inside.copy()
    for axis in (0, 1, 2):
        a, m = np.moveaxis(core, axis, 0), np.moveaxis(inside, axis, 0)
        a[1:] &= m[:-1]
        a[:-1] &= m[1:]
    edge = inside & ~core
    edge[0], edge[-1] = False, False
    tissue[edge] = Material.SKIN
