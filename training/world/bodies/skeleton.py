"""Bones of the trunk and their cartilages."""

from __future__ import annotations

import numpy as np

from training.world.bodies.habitus import VERTEBRAE, Habitus, cavity_point
from training.world.bodies.limbs import paint_leg_bones
from training.world.bodies.neck import paint_atlas
from training.world.bodies.shapes import Canvas, Region, curve, mirrored, sheet
from training.world.bodies.solid import bone
from training.world.materials import BONE, ID, SIDES, Material


def paint_spine(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Vertebrae C1-S1 with body, arch and processes, discs, the canal and the cord."""
    heights = [habitus.vertebra(n)[0] for n in VERTEBRAE]
    centres = np.array([habitus.vertebra(n) for n in VERTEBRAE])
    pitch = np.gradient(np.array(heights))
    lumbar = np.clip((np.array(heights) + 130) / 130, 0, 1)
    width = np.interp(heights, [-458, -372, -336, -130, 0], [11.0, 14.0, 16.5, 17.5, 26.5]) + rng.normal(0, 0.6)
    depth = np.interp(heights, [-458, -372, -336, -130, 0], [8.0, 9.5, 13.0, 13.5, 19.0]) + rng.normal(0, 0.4)
    tilt = np.rad2deg(np.arctan2(np.gradient(centres[:, 1]), pitch))
    # discs first: a column that the vertebral bodies then replace
    column, radii = curve(centres[1:-1], depth[1:-1] * 0.92, 3.0)
    canvas.paint(canvas.stamps(column, radii, flat=(0.4, 1.0, 1.35)), Material.DISC, keep=(Material.LUNG,))
    paint_atlas(canvas, habitus)
    for k, name in enumerate(VERTEBRAE):
        if name == "C1":
            continue
        c, h, w, d = centres[k], pitch[k] * 0.405, width[k], depth[k]
        label = ID[f"vertebrae_{name}"]
        turn = (0.0, 0.0, float(-tilt[k]))
        bone(canvas, canvas.blob(c, (h, d, w), turn=turn, power=3.2), label, 1.5)
        if name == "S1":
            continue
        back = c + np.array((0, d, 0))
        parts = []
        for _, side in SIDES:
            parts.append(
                canvas.tube(
                    [
                        back + np.array((-2, 0, side * 9)),
                        back + np.array((0, 9, side * 12.5)),
                        back + np.array((2, 19, side * 9)),
                    ],
                    [5.4, 5.8, 5.4],
                )
            )
            reach = 24 + 17 * lumbar[k]
            parts.append(
                canvas.tube(
                    [back + np.array((0, 9, side * 13)), back + np.array((0, 15 - 4 * lumbar[k], side * reach))],
                    [5.6, 4.2],
                )
            )
            parts.append(
                canvas.tube([back + np.array((-13, 11, side * 14)), back + np.array((15, 14, side * 13))], [5.2, 6.2])
            )
        drop, length = (8, 32) if lumbar[k] > 0.4 else (24, 30)
        if name[0] == "C":
            drop, length = (12, 26) if name == "C7" else (8, 15)
        parts.append(
            canvas.tube(
                [back + np.array((3, 19, 0)), back + np.array((3 + drop, 19 + length * 0.85, 0))],
                [6.2, 6.2],
                flat=(1.6, 1.0, 0.62),
            )
        )
        for part in parts:
            bone(canvas, part, label, 1.5)
    line = np.array(
        [c + np.array((0, d + 9.5, 0)) for c, d in zip(centres[:-1], depth, strict=False)]
        + [centres[-1] + np.array((14, 17, 0))]
    )
    line[0] = centres[0] + np.array((-8, 9, 0))
    canal = canvas.tube(line, 8.2, flat=(1, 0.9, 1.15))
    canvas.paint(canal, Material.CANAL, ID["spinal_cord"])
    canvas.labels[canal.box][canal.mask] = ID["spinal_cord"]
    canvas.paint(canvas.tube(line[:20], 5.0, flat=(1, 0.85, 1.25)), Material.CORD, ID["spinal_cord"])


def paint_pelvis(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Sacrum, hip bones and upper femurs."""
    wide = (1.04 if habitus.sex == "female" else 1.0) + rng.normal(0, 0.015)
    edge = [(86, 30, 45), (104, 44, 46), (128, 60, 36), (152, 69, 25), (176, 72, 14), (200, 64, 6)]
    plate = sheet(mirrored(edge, 1), mirrored(edge, -1), canvas.spacing * 0.9)
    thick = np.interp(plate[:, 0], [86, 104, 152, 200], [13.5, 14, 9, 5.5])
    plate[:, 1] -= 5 * np.cos(plate[:, 2] / 46 * np.pi / 2) * np.interp(plate[:, 0], [86, 150], [1, 0])
    bone(canvas, canvas.stamps(plate, thick), ID["sacrum"], 1.6)
    crest = canvas.tube([(104, 58, 0), (128, 72, 0), (152, 78, 0)], [6, 6, 4])
    bone(canvas, crest, ID["sacrum"], 1.2)
    for _, side in SIDES:  # the foramina of the sacral nerves
        for i0, deep, out in ((112, 42, 17), (132, 56, 14), (150, 64, 12)):
            hole = canvas.tube(mirrored([(i0, deep - 8, out), (i0, deep + 8, out)], side), 3.4)
            canvas.paint(hole, Material.FAT, 0, over=BONE)
    for name, side in SIDES:
        label = ID[f"hip_{name}"]
        lat = side * wide
        top = [(88, -60, 122), (60, -42, 131), (42, -5, 129), (46, 30, 106), (62, 58, 74), (92, 76, 50)]
        low = [(148, -52, 96), (158, -40, 92), (160, -22, 88), (152, 8, 78), (136, 34, 66), (122, 54, 54)]
        wing = sheet(mirrored(top, 1) * (1, 1, lat), mirrored(low, 1) * (1, 1, lat), canvas.spacing * 0.8)
        inward = 9 * np.exp(-(((wing[:, 0] - 95) / 35) ** 2)) * np.exp(-(((wing[:, 1]) / 45) ** 2))
        wing[:, 2] += lat * 0.5 * inward
        thick = 4.2 + 4.5 * np.clip((wing[:, 0] - 105) / 45, 0, 1) + 2.0 * np.clip((66 - wing[:, 0]) / 20, 0, 1)
        parts = [canvas.stamps(wing, thick)]
        hip = np.array([188, -14, 84 * lat])
        socket = canvas.blob(hip + np.array((0, 0, -4 * side)), (37, 34, 34))
        i, p, x = canvas.grid(socket.box)
        shell = socket.mask & (((i - hip[0]) ** 2 + (p - hip[1]) ** 2 + (x - hip[2]) ** 2) > 27**2)
        shell &= (x - hip[2]) * side - 0.45 * (188 - i) < 6
        parts.append(Region(socket.box, shell))
        parts.append(canvas.tube(mirrored([(160, -12, 84), (150, 5, 80)], 1) * (1, 1, lat), [20, 16]))
        parts.append(
            canvas.tube(
                mirrored([(190, 16, 76), (222, 27, 66), (248, 24, 60), (262, 12, 54)], 1) * (1, 1, lat),
                [14, 13, 17, 13],
            )
        )
        parts.append(
            canvas.tube(
                mirrored([(178, -36, 70), (196, -56, 48), (212, -66, 24), (224, -66, 8)], 1) * (1, 1, lat),
                [12, 8.5, 9, 11],
            )
        )
        parts.append(
            canvas.tube(mirrored([(232, -62, 9), (248, -38, 28), (260, -4, 46)], 1) * (1, 1, lat), [8, 6.5, 9])
        )
        head = canvas.blob(hip, (24, 24, 24))
        for part in parts:
            bone(canvas, part.minus(head), label, 1.5)
        femur = ID[f"femur_{name}"]
        canvas.paint(canvas.blob(hip, (26.5, 26.5, 26.5)), Material.CARTILAGE, 0, keep=BONE)
        bone(canvas, head, femur, 1.5)
        neck = mirrored([(188, -14, 84), (200, -8, 106), (212, 0, 124)], 1) * (1, 1, lat)
        bone(canvas, canvas.tube(neck, [17, 15.5, 17]), femur, 1.5)
        bone(canvas, canvas.blob((203, 8, 136 * lat), (22, 19, 13)), femur, 1.5)
        bone(canvas, canvas.blob((247, 12, 108 * lat), (11, 9, 9)), femur, 1.5)
    paint_leg_bones(canvas, wide)
    for _, side in SIDES:
        neck = mirrored([(188, -14, 84), (200, -8, 106), (212, 0, 124)], 1) * (1, 1, side * wide)
        canvas.paint(canvas.tube(neck, [10, 10, 11]), Material.SPONGIOSA, over=BONE)


def rib_path(habitus: Habitus, number: int, side: int) -> np.ndarray:
    """Centre line (n, 3) of a rib from its vertebra round the chest to its cartilage."""
    c = habitus.vertebra(f"T{number}")
    reach = np.deg2rad([95, 118, 132, 140, 146, 150, 150, 144, 136, 125, 92, 52][number - 1])
    fall = [34, 52, 66, 78, 86, 92, 96, 100, 100, 95, 72, 44][number - 1]
    start = np.deg2rad(18 if number > 1 else 30)
    t = np.linspace(0, 1, 9)
    points = [c + np.array((-6 if number < 11 else 0, 12, side * 18))]
    for u in t:
        angle = start + u * (reach - start)
        i = c[0] + 2 + fall * (0.15 * u + 0.85 * np.sin(min(1.0, u * 1.05) * np.pi / 2) ** 1.3)
        grow = 5.0 if number > 1 else 2.0
        p, x = cavity_point(max(float(i), -346.0), angle, grow)
        points.append(np.array([i, p, side * x]))
    return np.array(points)


def paint_cage(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Ribs, sternum, costal cartilages, scapulae and clavicles."""
    bone(canvas, canvas.tube([(-322, -60, 0), (-296, -80, 0)], [13, 13], flat=(1.0, 0.5, 1.9)), ID["sternum"], 1.2)
    bone(
        canvas,
        canvas.tube([(-290, -86, 0), (-240, -105, 0), (-180, -118, 0)], [11, 13, 11], flat=(1.0, 0.5, 1.35)),
        ID["sternum"],
        1.2,
    )
    bone(canvas, canvas.tube([(-170, -121, 0), (-148, -122, 0)], [7, 5], flat=(1.0, 0.5, 1.0)), ID["sternum"], 1.2)
    margin: dict[int, np.ndarray] = {}
    for number in range(1, 13):
        for name, side in SIDES:
            path = rib_path(habitus, number, side)
            radius = np.linspace(5.2, 6.2, len(path)) * (0.8 if number > 10 else 1.0)
            bone(canvas, canvas.tube(path, radius, flat=(1.15, 0.72, 0.72)), ID[f"rib_{name}_{number}"], 1.0)
            if number > 10:
                continue
            end = path[-1]
            if number <= 7:
                i = [-316, -292, -272, -252, -232, -214, -196][number - 1]
                target = np.array([i, np.interp(i, [-322, -290, -180], [-62, -88, -118]), side * 17.0])
            else:
                target = margin[side] + np.array((10, 4, side * 6))
            between = 0.55 * end + 0.45 * target + np.array((6 if number > 4 else 0, -5, 0))
            canvas.paint(
                canvas.tube([end, between, target], 6.4, flat=(1.2, 0.75, 0.75)),
                Material.CARTILAGE,
                ID["costal_cartilages"],
                keep=(*BONE, Material.SKIN),
            )
            margin[side] = between
    for name, side in SIDES:
        blade = sheet(
            mirrored([(-318, 88, 74), (-312, 84, 100), (-296, 62, 134)], side),
            mirrored([(-205, 104, 92), (-204, 102, 96), (-206, 98, 100)], side),
            canvas.spacing,
        )
        bone(canvas, canvas.stamps(blade, np.full(len(blade), 3.4)), ID[f"scapula_{name}"], 1.0)
        bone(
            canvas,
            canvas.tube(
                mirrored([(-306, 98, 76), (-320, 94, 108), (-347, 62, 138), (-352, 34, 148)], side), [5, 6, 6, 5]
            ),
            ID[f"scapula_{name}"],
            1.0,
        )
        bone(
            canvas,
            canvas.tube(mirrored([(-322, -58, 22), (-334, -56, 62), (-343, -28, 104), (-348, 6, 136)], side), 6.0),
            ID[f"clavicula_{name}"],
            1.0,
        )
