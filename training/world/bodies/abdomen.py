"""Organs of abdomen and pelvis: solid organs, biliary and urinary tract, mesenteric vessels."""

from __future__ import annotations

import numpy as np

from training.world.bodies.habitus import Habitus, cavity
from training.world.bodies.shapes import Canvas, Region, mirrored, waves
from training.world.materials import ID, SIDES, Material

_FREE = (Material.FAT,)
_ROOM = (Material.FAT, Material.MUSCLE)


def paint_kidneys(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> Region:
    """Beans with cortex, pyramids, sinus fat and pelvis; returns the perirenal space, which stays free of bowel."""
    size = rng.normal(1.03, 0.06) - 0.0018 * max(0.0, habitus.age - 55)
    high, rim = rng.normal(0, 7), np.array((16, 12, 11)) * (0.55 + 0.022 * habitus.visceral)
    space: Region | None = None
    for name, side in SIDES:
        label = ID[f"kidney_{name}"]
        base = np.array([-42, 4, 72]) if side > 0 else np.array([-30, 3, 72])
        centre = mirrored(base + np.array((high, 0, 0)) + rng.normal(0, (8, 3.5, 3)), side)
        s = float(np.clip(size * rng.normal(1.0, 0.05), 0.82, 1.18))
        radii = np.array([53, 24.5, 27.5]) * s * rng.normal(1, 0.05, 3)
        # upper pole leans to the spine and back; the hilum looks forward and inward
        turn = np.array([side * rng.normal(-28, 11), side * rng.normal(-12, 6), rng.normal(14, 6)])
        inward = np.array([0.0, -0.45, -0.89 * side])
        notch = canvas.blob(centre + inward * 31 * s, np.array([18, 10, 15]) * s, turn=turn)
        body = canvas.blob(centre, radii, turn=turn, power=2.2, wobble=rng.uniform(0.03, 0.1), rng=rng).minus(notch)
        whole = canvas.paint(body, Material.RENAL_CORTEX, label, over=_ROOM)
        canvas.paint(canvas.blob(centre, radii - 7.5 * s, turn=turn), Material.RENAL_MEDULLA, inside=label)
        columns = Region(whole.box, whole.mask & (waves(rng, canvas.grid(whole.box), 26.0, 4) > 0.28))
        canvas.paint(columns, Material.RENAL_CORTEX, inside=label, over=(Material.RENAL_MEDULLA,))
        sinus = canvas.blob(centre + inward * 8 * s, np.array([29, 9, 14]) * s, turn=turn)
        canvas.paint(sinus, Material.SINUS_FAT, inside=label)
        wide = rng.uniform(0.55, 1.0)
        for pole in (-18, 0, 18):
            calyx = [
                centre + inward * 14 * s,
                centre + inward * 8 * s + np.array((pole * 0.6, 0, 0)),
                centre + inward * 2 * s + np.array((pole * s, 0, 0)),
            ]
            canvas.paint(
                canvas.tube(calyx, np.array([3.4, 2.8, 3.4]) * wide), Material.RENAL_PELVIS, over=(Material.SINUS_FAT,)
            )
        pelvis = [
            centre + inward * 12 * s,
            centre + inward * 24 * s + np.array((6, 0, 0)),
            centre + inward * 34 * s + np.array((20, 0, 0)),
        ]
        canvas.paint(
            canvas.tube(pelvis, np.array([5.0, 5.0, 2.5]) * wide),
            Material.RENAL_PELVIS,
            over=(Material.SINUS_FAT, Material.FAT),
        )
        hip = np.array(pelvis[-1])
        ureter = [
            hip,
            mirrored((40, -30, 42), side),
            mirrored((100, -22, 42), side),
            mirrored((165, 5, 40), side),
            mirrored((182, -10, 22), side),
        ]
        canvas.paint(canvas.tube(ureter, 2.0), Material.SOFT, over=_FREE)
        artery = np.array([(centre[0] - 4, -42, 8.0), (centre[0] - 2, -18, side * 34.0), centre + inward * 24 * s])
        canvas.paint(canvas.tube(artery, [3.2, 3.0, 2.4]), Material.ARTERY, over=(*_FREE, Material.SINUS_FAT))
        hilum = centre + inward * 22 * s + np.array((4, 0, 0))
        vein = np.array([(centre[0] + 4, -48, -10.0), (centre[0] + 3, -28, side * 36.0), hilum])
        canvas.paint(canvas.tube(vein, [4.6, 4.6, 3.6]), Material.VEIN, over=(*_FREE, Material.SINUS_FAT))
        around = canvas.blob(centre + np.array((2, -3, 0)), radii + rim, turn=turn)
        space = around if space is None else merge(canvas, space, around)
    assert space is not None
    return space


def merge(canvas: Canvas, a: Region, b: Region) -> Region:
    """Union of two regions, in the box of both."""
    start = [min(s.start, t.start) for s, t in zip(a.box, b.box, strict=True)]
    stop = [max(s.stop, t.stop) for s, t in zip(a.box, b.box, strict=True)]
    mask = np.zeros([y - x for x, y in zip(start, stop, strict=True)], bool)
    for r in (a, b):
        mask[tuple(slice(s.start - x, s.stop - x) for s, x in zip(r.box, start, strict=True))] |= r.mask
    box = tuple(slice(x, y) for x, y in zip(start, stop, strict=True))
    return Region((box[0], box[1], box[2]), mask)


def paint_adrenals(canvas: Canvas, rng: np.random.Generator) -> None:
    """Thin lambda-shaped glands above and in front of the kidneys."""
    for name, side in SIDES:
        base = np.array([-86, -22, 42]) if side > 0 else np.array([-84, -20, 35])
        tip = base + rng.normal(0, 2.5, 3) + np.array((-6, -6, -3))
        label, r = ID[f"adrenal_gland_{name}"], rng.uniform(2.6, 3.7)
        for end in ((14, 20, 10), (16, 18, -8), (-11, 2, -1)):
            limb = mirrored([tip, tip + np.array(end) * 0.5 + np.array((0, 1, 0)), tip + np.array(end)], side)
            canvas.paint(
                canvas.tube(limb, [r + 0.8, r + 0.3, r - 0.2], flat=(2.2, 1, 1)), Material.ADRENAL, label, over=_ROOM
            )


def paint_spleen(canvas: Canvas, rng: np.random.Generator) -> None:
    """A wedge that follows the left wall, hollowed where kidney and stomach lie."""
    s = float(np.clip(rng.normal(0.97, 0.1), 0.72, 1.15))
    centre = np.array([-100, 22, 104]) + rng.normal(0, (10, 6, 3))
    turn = (rng.normal(-34, 10), rng.normal(-8, 9), rng.normal(22, 12))
    body = canvas.blob(centre, np.array([54, 49, 27]) * s * rng.normal(1, 0.07, 3), turn=turn, wobble=0.08, rng=rng)
    hollow = canvas.blob(centre + np.array((8, -22, -30)), (44, 34, 24))
    i, p, x = canvas.grid(body.box)
    inside = body.mask & (cavity(i, p, x, -1.5) < 1)
    canvas.paint(Region(body.box, inside).minus(hollow), Material.SPLEEN, ID["spleen"], over=_FREE)


def paint_liver(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """The cavity below the right dome down to a sloping lower face; left lobe across the midline; veins inside."""
    box = canvas.box((-215, -125, -145), (70, 95, 110))
    i, p, x = canvas.grid(box)
    big, reach, tip = rng.normal(0, 12), rng.normal(0, 16), rng.normal(8, 16)
    if rng.random() < 0.08:  # Riedel's lobe
        tip += rng.uniform(20, 45)
    xs = np.array([-145, -118, -95, -70, -45, -20, 10, 40, 70, 95])
    low = (
        np.array([-84, -62, -62, -72, -84, -90, -98, -116, -146, -180])
        + 14
        + big
        + np.array([1, 1.2, 1, 0.6, 0.3, 0, 0, 0, 0, 0]) * tip
    )
    face = np.interp(x - reach * np.clip((x + 20) / 60, 0, 1), xs, low).astype(np.float32)
    face = face + rng.normal(0.16, 0.08) * (-40 - p) * (x < -20) + 10 * waves(rng, (i, p, x), 110.0)
    medial = np.interp(i, [-120, -60], [16, 0]).astype(np.float32)
    back = np.interp(x - medial, [-145, -78, -52, -30, -5, 30, 70, 100], [80, 68, 42, 0, -30, -52, -82, -102]).astype(
        np.float32
    ) + 8 * waves(rng, (i, p, x), 90.0)
    upper = i > habitus.dome(p, x) + 4.5
    mask = (cavity(i, p, x, -1.5) < 1) & upper & (i < face) & (p < back)
    liver = ID["liver"]
    canvas.paint(Region(box, mask), Material.LIVER, liver, over=_FREE)
    groove = canvas.blob((-95, -60, 8), (42, 40, 3.0), turn=(-12, 0, 0))
    _repaint(canvas, groove, liver, Material.FAT, 0)
    gate = np.array([-80, -52, -34]) + rng.normal(0, 2, 3)
    for end, r in (
        ((-125, -30, -95), 6.0),
        ((-85, 10, -100), 5.5),
        ((-110, -70, -70), 5.0),
        ((-110, -85, 25), 4.8),
        ((-50, -10, -105), 4.0),
    ):
        branch = [gate, (gate + np.array(end)) / 2 + rng.normal(0, 5, 3), np.array(end) + rng.normal(0, 6, 3)]
        canvas.paint(canvas.tube(branch, [r, r * 0.7, 2.0]), Material.PORTAL, inside=liver)
    veins = np.array([-158, -32, -28])
    for end, r in (((-105, 10, -110), 6.0), ((-105, -80, -55), 5.5), ((-120, -85, 20), 5.0), ((-140, -10, -95), 4.0)):
        branch = [veins, (veins + np.array(end)) / 2 + rng.normal(0, 5, 3), np.array(end) + rng.normal(0, 6, 3)]
        canvas.paint(canvas.tube(branch, [r, r * 0.75, 2.0]), Material.VEIN, inside=liver)


def _repaint(canvas: Canvas, region: Region, label: int, material: Material, new: int) -> None:
    labels, tissue = canvas.labels[region.box], canvas.tissue[region.box]
    mask = region.mask & (labels == label)
    labels[mask], tissue[mask] = new, int(material)


def paint_biliary(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Gallbladder under the liver (pear, neck up and back), pancreas, portal and splenic vein."""
    size = rng.uniform(0.7, 1.3)
    neck = np.array([-68, -56, -44]) + rng.normal(0, 4, 3)
    aim = rng.normal(0, 5, 3)
    body = [neck, neck + np.array([14, -20, -14]) * size, neck + np.array([28, -38, -24]) * size + aim]
    gallbladder = canvas.tube(body, np.array([5, 11.5, 15]) * size)
    canvas.paint(
        gallbladder,
        Material.BILE,
        ID["gallbladder"],
        over=(Material.FAT, Material.LIVER, Material.PORTAL, Material.VEIN),
    )
    vein = [(-92, -62, -52), (-80, -58, -34), (-60, -56, -8), (-66, -50, 28), (-82, -30, 66), (-92, -4, 88)]
    canvas.paint(
        canvas.tube(vein, [7, 7.5, 7, 5, 4.6, 4.2]),
        Material.PORTAL,
        ID["portal_vein_and_splenic_vein"],
        over=(*_FREE, Material.LIVER),
    )
    mesenteric = [(-60, -56, -8), (-20, -62, -8), (30, -66, -12), (70, -62, -30)]
    canvas.paint(canvas.tube(mesenteric, [6, 5.5, 4.5, 3]), Material.PORTAL, over=_FREE)
    sma = [(-56, -46, 7), (-30, -60, 6), (10, -66, 2), (60, -66, -12)]
    canvas.paint(canvas.tube(sma, [3.8, 3.5, 3.2, 2.5]), Material.ARTERY, over=_FREE)
    celiac = [(-86, -32, 8), (-92, -50, 8), (-84, -56, -18)]
    canvas.paint(canvas.tube(celiac, [3.6, 3.2, 2.8]), Material.ARTERY, over=_FREE)
    thick = rng.uniform(0.9, 1.25) - 0.005 * max(0.0, habitus.age - 45)
    lobed = rng.normal(0, 3.5, (6, 3))
    gland = (
        np.array([(-14, -56, -26), (-38, -62, -24), (-54, -74, -4), (-66, -72, 22), (-76, -52, 52), (-88, -24, 84)])
        + lobed
        + np.linspace(0, 1, 6)[:, None] * np.array((rng.normal(0, 12), rng.normal(0, 5), 0))
    )
    region = canvas.tube(gland, np.array([9.5, 13.5, 9, 9, 9.5, 8.5]) * thick)
    # fat between the lobules, more with age and weight
    lobules = waves(rng, canvas.grid(region.box), 15.0, 6) > 0.62 - 0.006 * habitus.visceral - 0.006 * (
        habitus.age - 40
    )
    canvas.paint(Region(region.box, region.mask & ~lobules), Material.PANCREAS, ID["pancreas"], over=_FREE)


def paint_pelvic_organs(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Bladder with wall, prostate and seminal vesicles in men, uterus and ovaries in women."""
    fill = float(np.clip(rng.normal(1.0, 0.17), 0.72, 1.34))
    radii = np.array([34, 38, 42]) * fill * rng.normal(1, 0.06, 3)
    centre = np.array([204 - radii[0], -62 + radii[1] * 0.62, rng.normal(0, 4)])
    bladder = ID["urinary_bladder"]
    wall = rng.uniform(2.5, 4.5) + 1.5 * max(0.0, 1 - fill) * 4
    canvas.paint(
        canvas.blob(centre, radii, power=2.3, wobble=0.06, rng=rng), Material.BLADDER_WALL, bladder, over=_ROOM
    )
    canvas.paint(canvas.blob(centre, radii - wall, power=2.3), Material.URINE, inside=bladder)
    behind = centre[1] + radii[1]
    if habitus.sex == "male":
        s = rng.uniform(0.85, 1.12) + 0.004 * max(0.0, habitus.age - 45)
        gland = canvas.blob((216, -20, 0), np.array([15, 14, 20]) * s, wobble=0.05, rng=rng)
        canvas.paint(gland, Material.PROSTATE, ID["prostate"], over=_ROOM)
        for side in (1, -1):
            canvas.paint(canvas.tube(mirrored([(202, 2, 5), (196, 6, 24)], side), 5.0), Material.SOFT, over=_FREE)
            cord = mirrored([(208, -84, 40), (228, -100, 28), (258, -92, 18)], side)
            canvas.paint(canvas.tube(cord, 4.5), Material.SOFT, over=(Material.FAT, Material.SUBCUTANEOUS))
        return
    fertile = float(np.interp(habitus.age, [20, 45, 58, 80], [1.0, 1.12, 0.82, 0.66]))
    s, side_step = rng.uniform(0.85, 1.25) * fertile, rng.normal(0, 8)
    cervix = np.array([204.0, 14.0, 0.3 * side_step])
    lean = -1 if rng.random() < 0.8 else 1  # tipped over the bladder, or back
    fundus = np.array([158 - 8 * s, np.clip(behind + 6 + lean * 14, -30, 24), side_step])
    body = canvas.tube(
        [cervix, (cervix + fundus) / 2 + np.array((0, 4, 0)), fundus], np.array([12, 15, 23]) * s, flat=(1, 0.85, 1.15)
    )
    canvas.paint(body, Material.UTERUS, over=_FREE)
    canvas.paint(
        canvas.tube([cervix + np.array((2, 2, 0)), (244, -6, 0)], 9.0, flat=(1, 0.6, 1.5)), Material.SOFT, over=_ROOM
    )
    for side in (1, -1):
        ovary = np.array([150.0, 14.0, 0.0]) + rng.normal(0, 6, 3) + np.array((0, 0, side * 46))
        canvas.paint(canvas.blob(ovary, np.array([14, 9, 10]) * fertile), Material.UTERUS, over=_FREE)


def paint_mesentery(canvas: Canvas, rng: np.random.Generator) -> None:
    """Small vessels that fan out through the mesenteric fat."""
    for material, thick, n in ((Material.PORTAL, 2.6, 22), (Material.ARTERY, 1.7, 16)):
        points, radii = [], []
        for _ in range(n):
            end = np.array([rng.uniform(-25, 125), rng.uniform(-105, -45), rng.uniform(-95, 95)])
            start = np.array([rng.uniform(-20, 45), -64.0, rng.normal(-4, 6)])
            t = np.linspace(0, 1, 45)[:, None]
            points.append(start + (end - start) * t + rng.normal(0, 9, 3) * np.sin(np.pi * t))
            radii.append(thick * (1 - 0.62 * t[:, 0]))
        canvas.paint(canvas.stamps(np.concatenate(points), np.concatenate(radii)), material, over=_FREE)
