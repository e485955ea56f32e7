"""Lungs with their lobes and vessels, heart, great vessels, trachea and oesophagus."""

from __future__ import annotations

import numpy as np

from training.world.bodies.habitus import Habitus, cavity
from training.world.bodies.shapes import Canvas, Region, mirrored, waves
from training.world.materials import BONE, ID, SIDES, Material

_SOFT = (Material.FAT, Material.LUNG, Material.MUSCLE, Material.SOFT)
_CORE = (*BONE, Material.CANAL, Material.CORD, Material.DISC, Material.CARTILAGE)


def heart_frame(habitus: Habitus, rng: np.random.Generator) -> tuple[np.ndarray, float, np.ndarray]:
    """Centre, size and Euler turn of the heart; its long axis points left, forward and down."""
    centre = np.array([-205 + 0.6 * habitus.breath, -44, 22]) + rng.normal(0, (4, 4, 4))
    size = float(np.clip(rng.normal(0.99, 0.07) + 0.0008 * (habitus.age - 55), 0.84, 1.16))
    return centre, size, np.array([rng.normal(38, 9), rng.normal(-28, 9), 0.0])


def paint_lungs(canvas: Canvas, habitus: Habitus, heart: Region, rng: np.random.Generator) -> None:
    """Five lobes between chest wall, diaphragm and mediastinum; fissures at their usual slopes."""
    box = canvas.box((-360, -130, -150), (-60, 110, 150))
    i, p, x = canvas.grid(box)
    dome = habitus.dome(p, x)
    _, shift = habitus.spine(i)
    x0 = (x - shift).astype(np.float32)
    band = np.where(
        p < 15, np.interp(p, [-130, -90, -60, 15], [3, 6, 24, 25]), np.interp(p, [15, 40, 110], [24, 27, 30])
    ).astype(np.float32)
    band = band * np.interp(i, [-360, -330, -300, -250], [1.25, 1.1, 1.0, 1.0]).astype(np.float32)
    mask = (cavity(i, p, x) < 1.0) & (i < dome) & (np.abs(x0) > band)
    region = Region(box, mask).minus(heart)
    mask = region.mask
    bend = 5.0 * waves(rng, (i, p, x), 160.0)
    tilt, height = rng.normal(1.05, 0.08), rng.normal(0, 7)
    oblique_left = i + tilt * 1.0 * (p + 10) + 215 + height + bend
    oblique_right = i + tilt * 0.95 * (p + 10) + 207 + height + bend
    horizontal = i + 250 - rng.normal(0, 6) + 0.12 * (p + 60) + bend
    labels, tissue = canvas.labels[box], canvas.tissue[box]
    tissue[mask] = Material.LUNG
    left, right = mask & (x > 0), mask & (x <= 0)
    labels[left] = ID["lung_upper_lobe_left"]
    labels[left & (oblique_left > 0)] = ID["lung_lower_lobe_left"]
    labels[right] = ID["lung_upper_lobe_right"]
    labels[right & (horizontal > 0)] = ID["lung_middle_lobe_right"]
    labels[right & (oblique_right > 0)] = ID["lung_lower_lobe_right"]
    under = (cavity(i, p, x) < 1.0) & (i >= dome) & (i < dome + 3.5) & (tissue == Material.FAT)
    tissue[under] = Material.MUSCLE


def clear_lungs(canvas: Canvas) -> None:
    """Take the lobes' labels off what has been painted into them since: the vessels and airways of the hila."""
    box = canvas.box((-365, -135, -155), (-55, 115, 155))
    labels, tissue = canvas.labels[box], canvas.tissue[box]
    lobe, other = np.zeros(256, bool), np.ones(64, bool)
    lobe[[label for name, label in ID.items() if name.startswith("lung_")]] = True
    other[[Material.LUNG, Material.LUNG_VESSEL]] = False
    labels[lobe[labels] & other[tissue]] = 0


def paint_lung_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Branching vessels from both hila; inside the lobes' labels, as segmenters leave them."""
    for side in (1, -1):
        hilum = mirrored((-245, 8, 34), side)
        names = (
            ("lung_upper_lobe_left", "lung_lower_lobe_left")
            if side > 0
            else ("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right")
        )
        lung = np.isin(canvas.labels, [ID[n] for n in names])
        sites = np.argwhere(lung)
        if len(sites) < 100:
            continue
        ends = canvas.low + canvas.step * (sites[rng.integers(len(sites), size=120)] + 0.5)
        points, radii = [], []
        for n, end in enumerate(ends):
            start = hilum + rng.normal(0, 7, 3)
            if n > 18:  # a side branch leaves an earlier trunk
                trunk = ends[rng.integers(18)]
                start = hilum + (trunk - hilum) * rng.uniform(0.25, 0.8)
            length = float(np.linalg.norm(end - start))
            t = np.linspace(0, 1, max(3, int(length / 2.8)))[:, None]
            bow = rng.normal(0, 0.09, 3) * length
            points.append(start + (end - start) * t + bow * np.sin(np.pi * t))
            thick = rng.uniform(3.2, 5.5) if n <= 18 else rng.uniform(1.3, 2.6)
            radii.append(thick * (1 - t[:, 0]) + 0.6)
        tree = canvas.stamps(np.concatenate(points), np.concatenate(radii))
        canvas.paint(tree, Material.LUNG_VESSEL, over=(Material.LUNG,))


def heart_region(canvas: Canvas, frame: tuple[np.ndarray, float, np.ndarray], grow: float = 0.0) -> Region:
    """The heart's outer shape: an egg, widest at the base."""
    centre, size, turn = frame
    return canvas.blob(centre, np.array([46, 43, 63]) * size + grow, turn=turn, power=2.2)


def paint_heart(canvas: Canvas, frame: tuple[np.ndarray, float, np.ndarray], rng: np.random.Generator) -> None:
    """Myocardium with left and right blood pools and a fatty groove."""
    heart = ID["heart"]
    whole = heart_region(canvas, frame)
    canvas.paint(whole, Material.MYOCARDIUM, heart, keep=_CORE)
    centre, size, turn = frame

    def part(offset: tuple[float, float, float], radii: tuple[float, float, float], material: Material) -> None:
        canvas.paint(
            canvas.blob(centre + np.array(offset) * size, np.array(radii) * size, turn=turn), material, inside=heart
        )

    part((6, 4, 20), (21, 21, 33), Material.BLOOD_LEFT)
    part((-14, 26, -4), (22, 17, 26), Material.BLOOD_LEFT)
    part((14, -22, 0), (18, 14, 36), Material.BLOOD_RIGHT)
    part((8, 2, -36), (28, 22, 17), Material.BLOOD_RIGHT)
    part((-24, -20, 18), (14, 12, 12), Material.BLOOD_RIGHT)
    appendage = canvas.tube(centre + np.array([(-24, 10, 8), (-34, -4, 22), (-30, -18, 28)]) * size, [9, 8.5, 6])
    canvas.paint(appendage, Material.BLOOD_LEFT, ID["atrial_appendage_left"], keep=_CORE)


def paint_great_vessels(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Aorta to its bifurcation, arch branches, caval, pulmonary and brachiocephalic veins, trachea, oesophagus,
    thyroid."""
    over = (*_SOFT, Material.MYOCARDIUM)
    old = max(0.0, habitus.age - 45) / 45
    calibre = rng.normal(0.96, 0.07) + 0.12 * old

    def before_spine(i: float, gap: float, shift: float) -> tuple[float, float, float]:
        p, x = habitus.spine(i)
        return i, float(p) - gap, float(x) + shift

    def wobble(points: list[tuple[float, float, float]], sd: float = 1.5) -> np.ndarray:
        out = np.asarray(points, float)
        out[1:-1] += rng.normal(0, sd, out[1:-1].shape)
        return out

    asc = [(-222, -34, 4), (-248, -46, -18), (-272, -42, -22), (-290, -24, -6), (-293, -4, 15)]
    desc = [
        (-278, 18, 26),
        before_spine(-250, 20, 27),
        before_spine(-200, 18, 25),
        before_spine(-150, 22, 18),
        before_spine(-110, 27, 11),
    ]
    belly = [before_spine(-68, 29, 9), before_spine(-34, 30, 8), before_spine(0, 29, 7), before_spine(34, 27, 5)]
    radii = np.array([15.5, 16.5, 16, 14.5, 13.5, 13, 12.5, 12, 11.5, 11, 10.5, 10, 9.5, 9.0]) * calibre
    aorta = wobble([*asc, *desc, *belly], 1.2 + 2.6 * old)
    fork = aorta[-1]
    cava_fork = np.array(before_spine(50, 25, -10))
    cava = wobble(
        [
            (-186, -30, -26),
            (-165, -32, -28),
            (-130, -34, -28),
            before_spine(-80, 34, -22),
            before_spine(-34, 27, -19),
            before_spine(10, 25, -18),
            tuple(cava_fork),
        ]
    )
    # veins first, so that arteries lie in front where both pass
    for name, side in (("left", 1), ("right", -1)):
        iliac = np.concatenate(
            [
                [cava_fork],
                wobble(
                    [
                        tuple(mirrored(q, side))
                        for q in [(82, -12, 26), (112, -4, 46), (150, -32, 58), (186, -60, 64), (212, -72, 66)]
                    ]
                ),
            ]
        )
        canvas.paint(
            canvas.tube(iliac, np.array([8, 7.5, 7.5, 7, 7, 7])), Material.VEIN, ID[f"iliac_vena_{name}"], over=_SOFT
        )
        inner = mirrored([(112, -4, 46), (135, 25, 46), (160, 40, 42)], side)
        canvas.paint(canvas.tube(inner, [5.5, 4.5, 4]), Material.VEIN, ID[f"iliac_vena_{name}"], over=_SOFT)
        artery = np.concatenate(
            [
                [fork],
                wobble(
                    [
                        tuple(mirrored(q, side))
                        for q in [(78, -26, 27), (108, -22, 46), (150, -48, 61), (186, -70, 69), (212, -80, 72)]
                    ]
                ),
            ]
        )
        canvas.paint(
            canvas.tube(artery, np.array([6, 5.6, 5.4, 4.8, 4.6, 4.6])),
            Material.ARTERY,
            ID[f"iliac_artery_{name}"],
            over=(*_SOFT, Material.VEIN),
        )
        canvas.paint(
            canvas.tube(mirrored([(100, -22, 42), (125, 12, 44), (150, 32, 40)], side), [4.2, 3.5, 3]),
            Material.ARTERY,
            ID[f"iliac_artery_{name}"],
            over=_SOFT,
        )
        femoral = mirrored([(212, -80, 72), (260, -76, 80), (345, -50, 92)], side)
        canvas.paint(canvas.tube(femoral, [4.6, 4.4, 4]), Material.ARTERY, over=(*_SOFT, Material.SUBCUTANEOUS))
        canvas.paint(
            canvas.tube(femoral + mirrored((0, 8, -9), side), [6, 5.5, 5]),
            Material.VEIN,
            over=(*_SOFT, Material.SUBCUTANEOUS),
        )
        lung_vein = mirrored([(-228, -12, 14), (-236, 2, 36), (-240, 8, 52)], side)
        canvas.paint(canvas.tube(lung_vein, [8, 7, 5]), Material.BLOOD_LEFT, ID["pulmonary_vein"], over=_SOFT)
        pulmonary = np.array([(-256, -24, 12), mirrored((-254, 0, 30), side), mirrored((-244, 10, 48), side)])
        canvas.paint(canvas.tube(pulmonary, [12, 9, 6]), Material.BLOOD_RIGHT, over=_SOFT)
        head_vein = np.array([(-302, -38, -26), mirrored((-322, -46, 22), side), mirrored((-350, -34, 44), side)])
        canvas.paint(
            canvas.tube(head_vein, [7.5, 7, 6.5]), Material.VEIN, ID[f"brachiocephalic_vein_{name}"], over=_SOFT
        )
    canvas.paint(
        canvas.tube([(-228, -46, 16), (-250, -40, 20), (-262, -24, 14)], [14, 13, 12]), Material.BLOOD_RIGHT, over=_SOFT
    )
    canvas.paint(
        canvas.tube([(-304, -36, -26), (-270, -32, -29), (-226, -26, -32)], [9, 9.5, 10]),
        Material.VEIN,
        ID["superior_vena_cava"],
        over=_SOFT,
    )
    canvas.paint(
        canvas.tube(cava, np.array([12, 12, 12.5, 12, 11.5, 10.5, 9]) * rng.normal(1, 0.08), flat=(1, 0.85, 1.1)),
        Material.VEIN,
        ID["inferior_vena_cava"],
        over=_SOFT,
    )
    canvas.paint(
        canvas.tube(aorta, radii),
        Material.ARTERY,
        ID["aorta"],
        over=(*over, Material.VEIN, Material.BLOOD_RIGHT, Material.BLOOD_LEFT),
    )
    for name, path, r in (
        ("brachiocephalic_trunk", [(-290, -26, -6), (-318, -26, -17), (-340, -26, -24)], 6.0),
        (
            "subclavian_artery_left",
            [(-292, 2, 20), (-326, 2, 30), (-350, -10, 58), (-338, -14, 100), (-322, 0, 132)],
            4.6,
        ),
        (
            "subclavian_artery_right",
            [(-340, -26, -24), (-352, -14, -42), (-350, -10, -62), (-338, -14, -100), (-322, 0, -132)],
            4.6,
        ),
    ):
        canvas.paint(canvas.tube(path, r), Material.ARTERY, ID[name], over=_SOFT)
    for _, side in SIDES:
        axillary = mirrored([(-348, -32, 46), (-336, -26, 80), (-318, -12, 132)], side)
        canvas.paint(canvas.tube(axillary, [6, 5.5, 5]), Material.VEIN, over=_SOFT)
    airway = [(-398, -35, 0), (-370, -28, 0), (-340, -16, -1), (-305, -1, -3), (-270, 12, -2)]
    for path, r in (
        (airway, 10.0),
        ([(-270, 12, -2), (-256, 13, 20), (-246, 12, 40)], 7.0),
        ([(-270, 12, -2), (-256, 12, -22), (-244, 12, -40)], 7.5),
    ):
        canvas.paint(canvas.tube(path, r + 1.5), Material.SOFT, over=_SOFT)
        canvas.paint(canvas.tube(path, r - 0.5), Material.AIRWAY, ID["trachea"], keep=_CORE)
    gullet = [
        (-398, -21, 2),
        (-370, -13, 5),
        (-340, -1, 6),
        (-295, 14, 6),
        (-240, 20, 6),
        (-190, 10, 10),
        (-152, -8, 22),
        (-142, -18, 32),
    ]
    canvas.paint(
        canvas.tube(gullet, [6, 6, 7, 7.5, 7.5, 8, 8.5, 9], flat=(1, 0.8, 1.1)),
        Material.OESOPHAGUS,
        ID["esophagus"],
        over=_SOFT,
    )
    if rng.random() < 0.4:
        canvas.paint(canvas.tube(gullet[1:5], 2.0), Material.GAS, inside=ID["esophagus"])
