"""A whole parametric body; no real label map is used anywhere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from training.world.bodies import abdomen, chest, head, limbs, muscles, neck, skeleton
from training.world.bodies.body import Body
from training.world.bodies.bowel import paint_bowel
from training.world.bodies.habitus import BOTTOM, TOP, Habitus
from training.world.bodies.shapes import Canvas
from training.world.bodies.wall import paint_wall
from training.world.materials import Material


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
    side = 228 + 0.9 * habitus.fat if habitus.arms_up else 250 + 1.9 * habitus.fat
    front, rear = 148 + 1.3 * habitus.fat, 124 + 1.2 * habitus.fat
    canvas = Canvas((TOP, -front, -side), (BOTTOM, rear, side), habitus.scale, spacing)
    paint_wall(canvas, habitus, rng)
    frame = chest.heart_frame(habitus, rng)
    chest.paint_lungs(canvas, habitus, chest.heart_region(canvas, frame, 4.0), rng)
    head.paint_head(canvas, habitus, rng)
    skeleton.paint_cage(canvas, habitus, rng)
    limbs.paint_arm_bones(canvas, habitus)
    skeleton.paint_spine(canvas, habitus, rng)
    skeleton.paint_pelvis(canvas, habitus, rng)
    neck.paint_neck(canvas, habitus, rng)
    muscles.paint_muscles(canvas, habitus, rng)
    chest.paint_heart(canvas, frame, rng)
    chest.paint_great_vessels(canvas, habitus, rng)
    chest.paint_lung_vessels(canvas, rng)
    space = abdomen.paint_kidneys(canvas, habitus, rng)
    abdomen.paint_adrenals(canvas, rng)
    abdomen.paint_spleen(canvas, rng)
    abdomen.paint_pelvic_organs(canvas, habitus, rng)
    abdomen.paint_liver(canvas, habitus, rng)
    abdomen.paint_biliary(canvas, habitus, rng)
    paint_bowel(canvas, habitus, space, rng)
    abdomen.paint_mesentery(canvas, rng)
    canvas.labels[canvas.tissue <= Material.SKIN] = 0
    chest.clear_lungs(canvas)
    return Body(canvas.labels, canvas.tissue, spacing, habitus.sex, habitus.age, "up" if habitus.arms_up else "down")


_KEY = 7919


@lru_cache(maxsize=24)
def _kept(number: int, spacing: float) -> Body:
    return make_body(np.random.default_rng([_KEY, number]), spacing)


class ProceduralBodies:
    """Bodies drawn from their number; the last ones stay in memory."""

    def body(self, number: int, spacing: float) -> Body:
        """Body ``number`` at a spacing in mm."""
        return _kept(number, spacing)
