"""Arms and legs: their outlines, muscles and bones, down to the knee."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.world.bodies.habitus import Habitus
from training.world.bodies.shapes import Canvas, Float, curve, mirrored, waves
from training.world.bodies.solid import bone
from training.world.materials import BONE, ID, SIDES, Material

# i, axis l, half-width, axis p, half-depth of the thigh's and the knee's muscle surface
_LEG = np.array(
    [
        (226, 82, 74, 3, 78),
        (262, 83, 78, 3, 82),
        (320, 84, 78, 2, 82),
        (400, 86, 72, 2, 75),
        (480, 87, 63, 2, 66),
        (545, 87, 54, 2, 57),
        (600, 87, 51, -2, 55),
        (640, 87, 50, 2, 54),
        (670, 87, 50, 8, 54),
    ]
)
# axes (l, p at mid-thigh from the leg's axis, radius) of the thigh's muscles: quadriceps, sartorius, adductors,
# hamstrings; the nearest one takes a voxel
_THIGH = np.array(
    [
        (2, -46, 20),
        (42, -14, 30),
        (-26, -34, 26),
        (10, -22, 22),
        (-48, -28, 10),
        (-42, 2, 26),
        (-66, 8, 10),
        (-24, 24, 28),
        (24, 42, 22),
        (-6, 56, 18),
        (-34, 50, 18),
    ]
)


def _leg_levels(canvas: Canvas, grow: float, side: int) -> tuple[tuple[slice, slice, slice], Float]:
    low, high = sorted((side * 1.0, side * 230.0))
    box = canvas.box((236, -200, low), (700, 200, high))
    i, p, x = canvas.grid(box)
    axis, w, middle, d = (np.interp(i, _LEG[:, 0], _LEG[:, k]).astype(np.float32) for k in (1, 2, 3, 4))
    q = np.float32(2.2)
    level = np.abs((x * side - axis) / (w + grow)) ** q + np.abs((p - middle) / (d + grow)) ** q
    return box, level


def paint_legs(canvas: Canvas, habitus: Habitus, layer: Material) -> None:
    """One layer, fat or muscle, of both thighs and knees."""
    for _, side in SIDES:
        fat = layer == Material.SUBCUTANEOUS
        box, level = _leg_levels(canvas, 0.8 * habitus.fat + 3 if fat else 5 * (habitus.muscle - 1), side)
        tissue = canvas.tissue[box]
        tissue[(level < 1) & (tissue <= Material.FAT)] = layer


def part_muscles(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Fatty planes between the muscles of the thighs, and the fatty hollow behind the knee."""
    wide = 1.0 + 0.05 * habitus.fat + 0.02 * max(0.0, habitus.age - 40)
    for _, side in SIDES:
        box, level = _leg_levels(canvas, 0.0, side)
        if level.size == 0:
            continue
        i, p, x = canvas.grid(box)
        axis, w, middle, d = (np.interp(i, _LEG[:, 0], _LEG[:, k]).astype(np.float32) for k in (1, 2, 3, 4))
        u, v = (x * side - axis) * (78 / w), (p - middle) * (82 / d)
        u = u + 7 * waves(rng, (i * np.float32(0.4), p, x), 90.0)
        first = np.full(level.shape, 1e3, np.float32)
        second = first.copy()
        turn = np.float32(0.05) * (i - 400) * np.float32(0.6)
        for a, b, r in _THIGH:
            far = np.sqrt((u - np.float32(a) - turn) ** 2 + (v - np.float32(b)) ** 2) - np.float32(r)
            np.minimum(second, np.maximum(first, far), out=second)
            np.minimum(first, far, out=first)
        tissue = canvas.tissue[box]
        thin = np.interp(i, [240, 300, 540, 600, 640], [0.3, 1.0, 1.3, 5.0, 6.0]).astype(np.float32)
        planes = (second - first < 1.1 * wide * thin) & (tissue == Material.MUSCLE)
        hollow = (i > 560) & (v > 12) & (np.abs(u) < 34) & (tissue == Material.MUSCLE)
        tissue[planes | hollow] = Material.FAT


def arm_path(habitus: Habitus, side: int) -> tuple[NDArray, NDArray, NDArray]:
    """Centres of shoulder, elbow and what follows (n, 3), and the muscles' radii there; the humeral head's centre is
    the first."""
    f = habitus.fat
    if habitus.arms_up:
        points = np.array([(-334, 22, 158), (-420, 14, 172), (-530, 2, 182), (-634, -16, 186), (-668, -20, 180)])
        radii = np.array([37.0, 40, 36, 31, 31])
    else:
        points = np.array(
            [
                (-322, 26, 164),
                (-240, 34, 186 + 0.6 * f),
                (-120, 42, 196 + 1.1 * f),
                (-18, 42, 190 + 1.45 * f),
                (70, 26, 196 + 1.5 * f),
                (190, 4, 204 + 1.5 * f),
                (250, -6, 204 + 1.4 * f),
                (330, -8, 202 + 1.2 * f),
            ]
        )
        radii = np.array([38.0, 40, 35, 31, 33, 22, 22, 16])
    return mirrored(points, side), radii, np.arange(len(points))


def paint_arms(canvas: Canvas, habitus: Habitus, layer: Material) -> None:
    """One layer, fat or muscle, of both arms."""
    for _, side in SIDES:
        points, radii, _ = arm_path(habitus, side)
        fat = layer == Material.SUBCUTANEOUS
        grow = 0.32 * habitus.fat + 3 if fat else 3 * (habitus.muscle - 1)
        shoulder = mirrored([(-336, 10, 62), (-326, 24, 110), points[0] * (1, 1, side)], side)
        blade = mirrored([(-335, 60, 60), (-322, 62, 110), points[0] * (1, 1, side) + np.array((0, 16, -10))], side)
        for path, r in ((points, radii), (shoulder, [30.0, 33.0, 38.0]), (blade, [30.0, 32.0, 32.0])):
            line, thick = curve(path, np.asarray(r), float(canvas.step.min()) * 2.5)
            over = (Material.AIR, Material.SUBCUTANEOUS, Material.FAT) if not fat else (Material.AIR,)
            canvas.paint(canvas.stamps(line, thick + grow), layer, over=over)


def paint_arm_bones(canvas: Canvas, habitus: Habitus) -> None:
    """Humerus with head and condyles; forearm and hand of arms that hang down."""
    for name, side in SIDES:
        label = ID[f"humerus_{name}"]
        points, _, _ = arm_path(habitus, side)
        points = points * (1, 1, side)
        elbow = points[3]
        head_at = points[0] + ((0, 0, -6) if habitus.arms_up else (0, 2, -8))
        shaft = [
            head_at + np.array((8 if not habitus.arms_up else -8, 0, 8)),
            points[1] + np.array((0, 2, -6)),
            points[2],
            elbow,
        ]
        _part_arm(canvas, mirrored(points[1:4], side), side)
        head = canvas.blob(mirrored(head_at, side), (24, 23, 23))
        canvas.paint(canvas.blob(mirrored(head_at, side), (26, 25, 25)), Material.CARTILAGE, 0, keep=BONE)
        shaft_line = canvas.tube(mirrored(shaft, side), [17, 12.0, 11.0, 13.0])
        bone(canvas, shaft_line, label, 3.0, Material.MARROW)
        bone(canvas, head, label, 1.5)
        bone(
            canvas,
            canvas.tube(mirrored([elbow + np.array((-2, 0, -20)), elbow + np.array((-2, 0, 20))], side), [9.5, 10]),
            label,
            1.5,
        )
        for shift in (-11.0, 11.0):
            fore = points[3:] + np.array((10 if not habitus.arms_up else -12, 0, shift))
            bone(canvas, canvas.tube(mirrored(fore, side), 7.0), 0, 2.0, Material.MARROW)


def _part_arm(canvas: Canvas, path: NDArray, side: int) -> None:
    """The fatty planes between biceps and triceps, and the brachial vessels."""
    inner = path + mirrored((0, -2, -17), side)
    for shift in ((0, 2, -8), (0, 0, 30)):
        canvas.paint(
            canvas.tube(inner + mirrored(shift, side), 6.5, flat=(1, 0.35, 1.6)), Material.FAT, over=(Material.MUSCLE,)
        )
    canvas.paint(canvas.tube(inner, 2.6), Material.ARTERY, over=(Material.MUSCLE, Material.FAT))
    canvas.paint(canvas.tube(inner + np.array((0, 6, 0)), 3.0), Material.VEIN, over=(Material.MUSCLE, Material.FAT))


def paint_leg_bones(canvas: Canvas, wide: float) -> None:
    """Shaft and condyles of the femurs, patella, heads of tibia and fibula (without a name in the label scheme)."""
    for name, side in SIDES:
        lat, femur = side * wide, ID[f"femur_{name}"]

        def at(points: list[tuple[float, float, float]], lat: float = lat) -> NDArray:
            return np.asarray(points, float) * (1, 1, lat)

        shaft = at([(212, 2, 126), (250, 2, 122), (320, -5, 113), (430, -8, 101), (540, -2, 93), (582, 2, 89)])
        bone(canvas, canvas.tube(shaft, [18, 15.5, 14, 13.5, 15.5, 22]), femur, 3.4, Material.MARROW)
        bone(canvas, canvas.tube(at([(570, 2, 88), (596, 4, 88)]), [20, 25], flat=(1, 0.9, 1.3)), femur, 1.6)
        for x in (67, 109):
            canvas.paint(canvas.blob((603, 9, x * lat), (24.5, 29.5, 20.5)), Material.CARTILAGE, 0, keep=BONE)
            bone(canvas, canvas.blob((602, 9, x * lat), (22, 27, 18)), femur, 1.6)
        canvas.paint(canvas.tube(shaft[-3:], 11), Material.SPONGIOSA, over=BONE)
        bone(canvas, canvas.blob((588, -44, 88 * lat), (21, 9.5, 22)), 0, 1.5)
        for x in (68, 108):
            canvas.paint(canvas.blob((636, 7, x * lat), (12.5, 26, 22)), Material.CARTILAGE, 0, keep=BONE)
        plateau = canvas.tube(at([(641, 7, 88), (652, 6, 88), (690, 4, 88)]), [22, 22, 16], flat=(0.6, 1.1, 1.7))
        bone(canvas, plateau, 0, 1.6)
        bone(canvas, canvas.tube(at([(654, 26, 122), (690, 24, 124)]), [10, 7]), 0, 1.5)
        vessels = at([(345, -48, 90), (430, -26, 74), (520, 22, 74), (580, 34, 84), (670, 34, 88)])
        soft = (Material.MUSCLE, Material.FAT)
        canvas.paint(canvas.tube(vessels, 3.6), Material.ARTERY, over=soft)
        canvas.paint(canvas.tube(vessels + np.array((0, 8, -5 * side)), 4.4), Material.VEIN, over=soft)
