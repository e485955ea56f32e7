"""Stomach, duodenum, colon and small bowel, the loops of which fill the room that the other organs leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.world.bodies.habitus import Habitus, cavity
from training.world.bodies.shapes import Bool, Box, Canvas, Region, arc_length, curve, waves
from training.world.materials import ID, Material

_FREE = (Material.FAT,)


def paint_bowel(canvas: Canvas, habitus: Habitus, space: Region, rng: np.random.Generator) -> None:
    """All of it; ``space`` (about the kidneys) stays free."""
    _paint_stomach(canvas, space, rng)
    _paint_duodenum(canvas, rng)
    _paint_colon(canvas, space, rng)
    _paint_small_bowel(canvas, habitus, space, rng)


def _hollow(
    canvas: Canvas,
    line: NDArray,
    radii: NDArray,
    wall: float | NDArray,
    materials: tuple[Material, Material],
    label: int,
    space: Region | None = None,
) -> None:
    outer = canvas.stamps(line, radii)
    painted = canvas.paint(outer if space is None else outer.minus(space), materials[0], label, over=_FREE)
    inner = canvas.stamps(line, np.maximum(radii - wall, 0.5))
    canvas.paint(inner.minus(Region(painted.box, ~painted.mask)), materials[1], inside=label)


def _paint_stomach(canvas: Canvas, space: Region, rng: np.random.Generator) -> None:
    """From collapsed to full, from a high steer horn to a long J; with folds."""
    full, drop, reach = rng.uniform(0.68, 1.28), rng.uniform(-18, 50), rng.normal(0, 7)
    points = np.array(
        [
            (-154, 0, 60),
            (-130, -22, 67),
            (-100, -46, 63),
            (-68 + 0.6 * drop, -78, 45),
            (-50 + drop, -92, 14 - reach),
            (-56 + 0.5 * drop, -88, -14),
            (-60, -80, -24),
        ]
    ) + rng.normal(0, (5, 3, 4), (7, 3))
    # an empty stomach keeps some air in the fundus
    calibre = np.array([30, 38, 32, 26, 20, 14, 8]) * np.interp(np.arange(7), [0, 6], [0.35 + 0.65 * full, full])
    line, radii = curve(points, calibre, float(canvas.step.min()))
    stomach = ID["stomach"]
    wall = rng.uniform(3.2, 5.0)
    _hollow(canvas, line, radii, wall, (Material.STOMACH_WALL, Material.STOMACH_LUMEN), stomach, space)
    rugae = canvas.stamps(line, radii).minus(canvas.stamps(line, np.maximum(radii - wall - 5, 0.5)))
    folds = rugae.mask & (waves(rng, canvas.grid(rugae.box), 20.0, 5) > 0.16 + 0.3 * (full - 0.7))
    canvas.paint(Region(rugae.box, folds), Material.STOMACH_WALL, inside=stomach)


def _paint_duodenum(canvas: Canvas, rng: np.random.Generator) -> None:
    low = rng.normal(0, 9)
    points = np.array(
        [
            (-62, -80, -28),
            (-60, -64, -44),
            (-38, -46, -47),
            (-6 + 0.5 * low, -42, -46),
            (16 + low, -48, -28),
            (16 + low, -58, 4),
            (-8, -62, 24),
            (-24, -70, 32),
        ]
    ) + rng.normal(0, 2.5, (8, 3))
    line, radii = curve(points, rng.uniform(8.5, 13) * np.ones(8), float(canvas.step.min()))
    radii = radii * (1 + 0.16 * np.sin(arc_length(line) / 13 + rng.uniform(0, 6)))
    _hollow(canvas, line, radii, 3.0, (Material.BOWEL_WALL, Material.BOWEL_LUMEN), ID["duodenum"])


def _paint_colon(canvas: Canvas, space: Region, rng: np.random.Generator) -> None:
    """A frame with haustra: the transverse colon sags more or less, the sigmoid is short or winds up into the belly."""
    sag, long, low = rng.uniform(-25, 62), rng.random(), rng.normal(0, 12)
    side, high = rng.normal(0, 22), rng.uniform(-12, 28)
    frame = np.array(
        [
            (94 + low, -66, -82),
            (70 + low, -54, -92),
            (30, -34, -102),
            (-10, -30, -104),
            (-34, -52, -98),
            (-34, -90, -78),
            (-26 + sag * 0.6, -102, -40),
            (-20 + sag, -104, 0),
            (-34 + sag * 0.7, -102, 42),
            (-66, -84, 84),
            (-112 - high, -52, 98),
            (-84 - 0.5 * high, -8, 112),
            (-34, 4, 112),
            (20, 0, 110),
            (70, -18, 104),
            (104, -50, 84),
            (120 - 20 * long, -66, 52),
            (112 - 75 * long, -66, 22 + side),
            (98 - 55 * long, -48, -12 + side - 20 * long),
            (108 - 10 * long, -14, -14 - 12 * long),
            (114, 20, 3),
            (142, 46, 2),
            (176, 50, 0),
            (206, 42, 0),
            (228, 34, 0),
            (246, 36, 0),
        ]
    )
    frame = frame + rng.normal(0, (5, 3, 4), frame.shape) * (np.arange(len(frame)) < 21)[:, None]
    frame[:, 1] = np.minimum(frame[:, 1], 60)
    calibre = np.array(
        [28, 28, 25, 24, 22, 20, 19, 19, 19, 19, 17, 15, 14, 14, 14, 15, 15, 15, 14, 14, 16, 19, 20, 16, 10, 8]
    ) * rng.uniform(0.85, 1.15)
    for first, last, least, most in ((0, 5, 0.85, 1.2), (5, 10, 0.7, 1.25), (10, 15, 0.6, 1.2), (15, 21, 0.62, 1.2)):
        calibre[first:last] *= rng.uniform(least, most)
    calibre[21:24] *= rng.uniform(0.75, 1.35)
    line, radii = curve(frame, calibre, float(canvas.step.min()))
    arc = arc_length(line)
    pace = arc / rng.uniform(26, 36) + 0.6 * np.sin(arc / 60)
    smooth = np.interp(arc / arc[-1], [0.72, 0.8], [1, 0.35])  # rectosigmoid and rectum have no haustra
    bulge = np.abs(np.sin(np.pi * pace)) ** 0.7
    radii = radii * (1 - 0.3 * smooth * (1 - bulge)) * (1 + 0.12 * np.sin(2 * np.pi * arc / 170 + rng.uniform(0, 6)))
    line = line + 3.0 * smooth[:, None] * np.stack([np.sin(2.1 * np.pi * pace + k) for k in (0.3, 1.9, 4.0)], 1)
    _hollow(
        canvas,
        line,
        np.maximum(radii, 6.5),
        rng.uniform(2.2, 3.4),
        (Material.COLON_WALL, Material.STOOL),
        ID["colon"],
        space,
    )


def _paint_small_bowel(canvas: Canvas, habitus: Habitus, space: Region, rng: np.random.Generator) -> None:
    """Loops along a tour of points strewn in the free room, thinned out where there is much visceral fat."""
    free, box = _free_room(canvas, habitus, space)
    calibre = rng.uniform(9.0, 14.0)
    points = _strewn(canvas, free, box, (1.5 + 0.02 * habitus.visceral) * calibre, habitus, rng)
    for chain in _tours(points, 4.2 * calibre, rng):
        chain = chain + rng.normal(0, 2.0, chain.shape)
        line, _ = curve(chain, calibre, float(canvas.step.min()))
        arc = arc_length(line)
        radii = calibre * (
            0.95 + 0.2 * np.sin(arc / 70 + rng.uniform(0, 6)) + 0.15 * np.sin(arc / 15 + rng.uniform(0, 6))
        )
        wall = np.where(np.sin(arc / 55 + rng.uniform(0, 6)) > rng.uniform(-0.2, 0.9), 8.5, rng.uniform(2.4, 3.4))
        pieces = max(1, int(arc[-1] / 55))
        for part in np.array_split(np.arange(len(line)), pieces):
            _piece(canvas, free, box, line[part], radii[part], wall[part])


def _piece(canvas: Canvas, free: Bool, box: Box, line: NDArray, radii: NDArray, wall: NDArray) -> None:
    """A piece of bowel takes only fat, so that neighbouring loops keep their walls."""
    label = ID["small_bowel"]
    outside = Region(box, ~free)
    painted = canvas.paint(canvas.stamps(line, radii).minus(outside), Material.BOWEL_WALL, label, over=_FREE)
    inner = canvas.stamps(line, np.maximum(radii - wall, 0.5)).minus(Region(painted.box, ~painted.mask))
    canvas.paint(inner.minus(outside), Material.BOWEL_LUMEN, inside=label)


def _free_room(canvas: Canvas, habitus: Habitus, space: Region) -> tuple[Bool, Box]:
    """The peritoneal cavity that is still fat, clear of the colon and of the space about the kidneys."""
    box = canvas.box((-62, -135, -135), (190, 45, 135))
    i, p, x = canvas.grid(box)
    rim = 2.0 + habitus.visceral * 0.22
    back = np.interp(i, [-62, -20, 90, 130, 190], [-62, -36, -34, 10, 22]).astype(np.float32)
    beside = np.clip((np.abs(x) - 45) / 50, 0, 1) * np.interp(i, [-62, 0, 90, 130], [0, 45, 45, 0]).astype(np.float32)
    free = (cavity(i, p, x, -rim) < 1) & (p < back + beside) & (canvas.tissue[box] == Material.FAT)
    colon = canvas.labels[box] == ID["colon"]
    for axis in range(3):
        a, m = np.moveaxis(free, axis, 0), np.moveaxis(colon, axis, 0)
        a[1:] &= ~m[:-1]
        a[:-1] &= ~m[1:]
    return Region(box, free).minus(space).mask, box


def _strewn(
    canvas: Canvas, free: Bool, box: Box, gap: float, habitus: Habitus, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Nominal points (n, 3), at least ``gap`` mm apart."""
    step = max(1, round(5.0 / canvas.spacing))
    coarse = free[::step, ::step, ::step]
    core = coarse.copy()
    for axis in range(3):
        a, m = np.moveaxis(core, axis, 0), np.moveaxis(coarse, axis, 0)
        a[1:] &= m[:-1]
        a[:-1] &= m[1:]
    sites = np.argwhere(core) * step + [s.start for s in box]
    places = canvas.low + canvas.step * (sites + 0.5)
    if len(places) == 0:
        return np.zeros((0, 3))
    share = np.clip(0.97 - 0.02 * habitus.visceral + rng.normal(0, 0.07), 0.4, 1.0)
    grid = tuple(places[:, k].astype(np.float32) for k in range(3))
    fatty = sum(np.sin(rng.normal(0, 0.03) * grid[k] + rng.uniform(0, 6.3)) for k in (0, 1, 2))
    # the root of the mesentery is fat, and so is what lies against the spine
    root = 1.2 * np.exp(-((places[:, 0] - 25) ** 2 + (places[:, 1] + 55) ** 2 + (places[:, 2] * 0.8) ** 2) / 28.0**2)
    order = np.asarray(fatty + root)
    places = places[order <= np.quantile(order, share)]
    places = places[rng.permutation(len(places))]
    out: list[NDArray[np.float64]] = []
    while len(places) and len(out) < 400:
        out.append(places[0])
        places = places[((places - places[0]) ** 2).sum(1) > gap**2]
    return np.array(out)


def _tours(points: NDArray, far: float, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Chains from the upper left to the lower right that visit all points, the nearest next; a long way starts a new
    one."""
    rest = np.ones(len(points), bool)
    goal = np.array([0.55, 0.0, -0.35])
    chains: list[list[NDArray]] = []
    here: NDArray | None = None
    while rest.any():
        index = np.flatnonzero(rest)
        if here is None:
            k = index[np.argmin(points[index] @ goal)]
            chains.append([])
        else:
            away = np.linalg.norm(points[index] - here, axis=1)
            k = index[np.argmin(away * rng.uniform(0.8, 1.25, len(away)) + 0.12 * (points[index] - here) @ goal)]
            if float(np.linalg.norm(points[k] - here)) > far:
                here = None
                continue
        here = points[k]
        chains[-1].append(here)
        rest[k] = False
    return [np.array(c) for c in chains if len(c) > 2]
