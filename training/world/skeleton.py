"""Bones, their cartilages, and the muscles that hang on them."""

from __future__ import annotations

import numpy as np

from training.world.habitus import VERTEBRAE, Habitus, cavity_point
from training.world.materials import BONE, ID, SIDES, Material
from training.world.shapes import Canvas, Region, curve, mirrored, sheet

_HARD = (*BONE, Material.CANAL, Material.CORD, Material.DISC)
_SOLID = (*_HARD, Material.LUNG, Material.AIR, Material.SKIN)


def bone(canvas: Canvas, region: Region, label: int, shell: float, core: Material = Material.SPONGIOSA) -> None:
    """Paint a bone with a cortical shell about ``shell`` mm thick (at least the surface voxel) around a core."""
    painted = canvas.paint(region, Material.CORTEX, label, keep=BONE)
    mask = painted.mask
    if mask.size == 0:
        return
    inner = mask
    for _ in range(max(1, round(shell / canvas.spacing))):
        inner = _erode(inner)
    canvas.paint(Region(painted.box, inner), core)


def _erode(mask: np.ndarray) -> np.ndarray:
    out = mask.copy()
    for axis in range(3):
        a = np.moveaxis(out, axis, 0)
        m = np.moveaxis(mask, axis, 0)
        a[1:] &= m[:-1]
        a[:-1] &= m[1:]
        a[0] = a[-1] = False
    return out


def paint_spine(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Vertebrae T1-S1 with body, arch and processes, discs, the canal and the cord."""
    heights = [habitus.vertebra(n)[0] for n in VERTEBRAE]
    centres = np.array([habitus.vertebra(n) for n in VERTEBRAE])
    pitch = np.gradient(np.array(heights))
    lumbar = np.clip((np.array(heights) + 130) / 130, 0, 1)
    width, depth = 17 + 9.5 * lumbar + rng.normal(0, 0.6), 13.5 + 5.5 * lumbar + rng.normal(0, 0.4)
    tilt = np.rad2deg(np.arctan2(np.gradient(centres[:, 1]), pitch))
    # discs first: a column that the vertebral bodies then replace
    column, radii = curve(centres[:-1], depth[:-1] * 0.92, 3.0)
    canvas.paint(canvas.stamps(column, radii, flat=(0.4, 1.0, 1.35)), Material.DISC, keep=(Material.LUNG,))
    for k, name in enumerate(VERTEBRAE):
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
    line = np.concatenate([[line[0] + (-30, -9, 0)], line])
    canal = canvas.tube(line, 8.2, flat=(1, 0.9, 1.15))
    canvas.paint(canal, Material.CANAL, ID["spinal_cord"])
    canvas.labels[canal.box][canal.mask] = ID["spinal_cord"]
    canvas.paint(canvas.tube(line[:15], 4.8, flat=(1, 0.85, 1.2)), Material.CORD, ID["spinal_cord"])


def paint_pelvis(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Sacrum, hip bones and upper femurs."""
    wide = (1.04 if habitus.sex == "female" else 1.0) + rng.normal(0, 0.015)
    sacrum = canvas.tube(
        [(84, 30, 0), (104, 40, 0), (130, 56, 0), (158, 67, 0), (182, 70, 0), (205, 60, 0)],
        [17, 18, 14, 11, 8, 5],
        flat=(0.9, 0.85, 1.0),
    )
    bone(canvas, sacrum, ID["sacrum"], 2.0)
    for _, side in SIDES:
        ala = mirrored([(92, 26, 14), (96, 36, 34), (108, 46, 42), (130, 58, 28), (150, 66, 15)], side)
        bone(canvas, canvas.tube(ala, [15, 15, 13, 10, 7]), ID["sacrum"], 2.0)
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
        shaft = mirrored([(212, 2, 126), (250, 2, 122), (300, -4, 114), (350, -8, 108)], 1) * (1, 1, lat)
        bone(canvas, canvas.tube(shaft, [18, 15.5, 14, 13.5]), femur, 3.2, Material.MARROW)
        bone(canvas, canvas.blob((247, 12, 108 * lat), (11, 9, 9)), femur, 1.5)
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
                target = margin[side] + (10, 4, side * 6)
            between = 0.55 * end + 0.45 * target + (6 if number > 4 else 0, -5, 0)
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
            canvas.tube(mirrored([(-306, 98, 76), (-318, 100, 108), (-338, 78, 140)], side), 6.0),
            ID[f"scapula_{name}"],
            1.0,
        )
        bone(
            canvas,
            canvas.tube(mirrored([(-322, -56, 22), (-338, -58, 62), (-352, -34, 104), (-362, -14, 130)], side), 7.0),
            ID[f"clavicula_{name}"],
            1.0,
        )


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
                (-30, -4, 36),
                (10, -12, 43),
                (50, -20, 52),
                (95, -34, 66),
                (140, -52, 80),
                (185, -56, 88),
                (220, -32, 98),
                (246, 4, 108),
            ],
            side,
        )
        psoas_r = np.array([5, 10, 14.5, 17.5, 18, 17, 15, 12, 8]) * m
        canvas.paint(canvas.tube(psoas, psoas_r), Material.MUSCLE, ID[f"iliopsoas_{name}"], keep=_SOLID)
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
        _plane(canvas, maximus, 14.0 * m)
        canvas.paint(
            canvas.stamps(maximus, np.full(len(maximus), 14.0 * m)),
            Material.MUSCLE,
            ID[f"gluteus_maximus_{name}"],
            over=(Material.MUSCLE, Material.FAT, Material.SUBCUTANEOUS),
            inside=0,
        )
