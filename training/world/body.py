"""A whole parametric torso, from the lower neck to the upper thighs; no real label map is used anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.world import abdomen, chest, skeleton
from training.world.habitus import BOTTOM, TOP, Habitus, cavity, lean
from training.world.materials import Material
from training.world.shapes import Canvas, Float, waves


@dataclass(frozen=True, eq=False)
class Body:
    """A body before deformation and imaging.

    Attributes
    ----------
    labels : (I, P, L) uint8
        TotalSegmentator v2 ids, 0 where no organ is named.
    tissue : (I, P, L) uint8
        `Material` of every voxel.
    spacing : float
        Isotropic voxel size in mm.
    habitus : Habitus
        What was drawn.
    """

    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    spacing: float
    habitus: Habitus


def make_body(rng: np.random.Generator, spacing: float = 3.0) -> Body:
    """Build a random body.

    Parameters
    ----------
    rng : Generator
        The only source of chance.
    spacing : float
        Isotropic voxel size in mm.
    """
    habitus = Habitus.draw(rng)
    side, front, rear = 168 + habitus.fat, 140 + 1.2 * habitus.fat, 122 + habitus.fat
    canvas = Canvas((TOP, -front, -side), (BOTTOM, rear, side), habitus.scale, spacing)
    _paint_wall(canvas, habitus, rng)
    frame = chest.heart_frame(rng)
    chest.paint_lungs(canvas, habitus, chest.heart_region(canvas, frame, 4.0), rng)
    skeleton.paint_cage(canvas, habitus, rng)
    skeleton.paint_spine(canvas, habitus, rng)
    skeleton.paint_pelvis(canvas, habitus, rng)
    skeleton.paint_muscles(canvas, habitus, rng)
    chest.paint_heart(canvas, frame, rng)
    chest.paint_great_vessels(canvas, habitus, rng)
    chest.paint_lung_vessels(canvas, rng)
    space = abdomen.paint_kidneys(canvas, rng)
    abdomen.paint_adrenals(canvas, rng)
    abdomen.paint_spleen(canvas, rng)
    abdomen.paint_pelvic_organs(canvas, habitus, rng)
    abdomen.paint_liver(canvas, habitus, rng)
    abdomen.paint_biliary(canvas, rng)
    abdomen.paint_bowel(canvas, habitus, space, rng)
    abdomen.paint_mesentery(canvas, rng)
    canvas.labels[np.isin(canvas.tissue, (Material.AIR, Material.SKIN))] = 0
    return Body(canvas.labels, canvas.tissue, spacing, habitus)


def _fat_thickness(habitus: Habitus, i: Float, p: Float, x: Float) -> Float:
    along = np.interp(
        i, [-390, -340, -220, -120, 0, 90, 170, 240, 345], [0.35, 0.5, 0.5, 0.6, 1.0, 1.25, 1.25, 1.0, 0.8]
    )
    front = np.interp(p, [-130, -60, 60, 110], [1.1, 0.75, 0.8, 1.2]).astype(np.float32)
    return (habitus.fat * along).astype(np.float32) * front + np.float32(3) + 0 * x


def _paint_wall(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Skin, subcutaneous fat, muscle with fatty planes, and the cavity filled with fat for organs to take."""
    box = (slice(0, canvas.shape[0]), slice(0, canvas.shape[1]), slice(0, canvas.shape[2]))
    i, p, x = canvas.grid(box)
    tissue = canvas.tissue
    # a shallow furrow along the back's midline and a little asymmetry
    furrow = (5 * np.exp(-((x / 14) ** 2)) * (p > 40)).astype(np.float32)
    muscle = lean(i, p + furrow, x, 4 * (habitus.muscle - 1))
    grow = _fat_thickness(habitus, i, p, x)
    skin = lean(i, p + furrow, x, grow)
    inside = skin < 1
    if habitus.sex == "female":
        size = rng.uniform(0.7, 1.25)
        for side in (1, -1):
            breast = canvas.blob((-232, -112 - habitus.fat * 0.4, side * 80), np.array([56, 26, 60]) * size)
            inside[breast.box] |= breast.mask
    tissue[inside] = Material.SUBCUTANEOUS
    tissue[muscle < 1] = Material.MUSCLE
    # fatty planes between muscles: long in the thighs' direction, a layer under the outer muscles of the chest
    planes = waves(rng, (i * np.float32(0.25), p, x), 64.0, 5)
    thin = np.interp(i, [-390, -330, -290, 120, 200, 345], [0.05, 0.05, 0.0, 0.0, 0.045, 0.05]).astype(np.float32)
    tissue[(muscle < 1) & (np.abs(planes) < thin * (0.7 + 0.03 * habitus.fat))] = Material.FAT
    layer = (np.abs(muscle - 0.945 + 0.02 * planes) < 0.011) & (i < -110) & (i > -320)
    tissue[layer] = Material.FAT
    # the back muscles keep the cavity away from the spine's arches
    spine, shift = (v.astype(np.float32) for v in habitus.spine(i))
    reach = np.interp(i, [-160, -90], [22, 42]).astype(np.float32)
    back = spine + 34 + 46 * np.clip((np.abs(x - shift) - reach) / 36, 0, 1)
    tissue[(cavity(i, p, x) < 1) & ((p < back) | (i > 100))] = Material.FAT
    rim = inside.copy()
    for axis in (0, 1, 2):
        a, m = np.moveaxis(rim, axis, 0), np.moveaxis(inside, axis, 0)
        a[1:] &= m[:-1]
        a[:-1] &= m[1:]
    edge = inside & ~rim
    edge[0], edge[-1] = False, False
    tissue[edge] = Material.SKIN
