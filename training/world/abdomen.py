"""Organs of abdomen and pelvis: solid organs, biliary and urinary tract, stomach and bowel, abdominal vessels."""

from __future__ import annotations

import numpy as np

from training.world.habitus import Habitus, cavity
from training.world.materials import ID, SIDES, Material
from training.world.shapes import Canvas, Region, curve, mirrored, waves

_FREE = (Material.FAT,)
_ROOM = (Material.FAT, Material.MUSCLE)


def paint_kidneys(canvas: Canvas, rng: np.random.Generator) -> Region:
    """Beans with cortex, pyramids, sinus fat and pelvis; returns the perirenal space, which stays free of bowel."""
    size = rng.normal(1.03, 0.05)
    space: Region | None = None
    for name, side in SIDES:
        label = ID[f"kidney_{name}"]
        base = np.array([-42, 4, 72]) if side > 0 else np.array([-30, 3, 72])
        centre = mirrored(base + rng.normal(0, (9, 3.5, 3)), side)
        s = size * rng.normal(1.0, 0.04)
        radii = np.array([53, 24.5, 27.5]) * s * rng.normal(1, 0.03, 3)
        # upper pole leans to the spine and back; the hilum looks forward and inward
        turn = np.array([side * rng.normal(-28, 6), side * rng.normal(-12, 4), rng.normal(14, 4)])
        inward = np.array([0.0, -0.45, -0.89 * side])
        notch = canvas.blob(centre + inward * 31 * s, np.array([18, 10, 15]) * s, turn=turn)
        body = canvas.blob(centre, radii, turn=turn, power=2.2, wobble=0.05, rng=rng).minus(notch)
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
                centre + inward * 8 * s + (pole * 0.6, 0, 0),
                centre + inward * 2 * s + (pole * s, 0, 0),
            ]
            canvas.paint(
                canvas.tube(calyx, np.array([3.4, 2.8, 3.4]) * wide), Material.RENAL_PELVIS, over=(Material.SINUS_FAT,)
            )
        pelvis = [centre + inward * 12 * s, centre + inward * 24 * s + (6, 0, 0), centre + inward * 34 * s + (20, 0, 0)]
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
        around = canvas.blob(centre + np.array((2, -3, 0)), radii + np.array((16, 12, 11)), turn=turn)
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
        tip = base + rng.normal(0, 2.5, 3) + (-6, -6, -3)
        label, r = ID[f"adrenal_gland_{name}"], rng.uniform(2.6, 3.7)
        for end in ((14, 20, 10), (16, 18, -8), (-11, 2, -1)):
            limb = mirrored([tip, tip + np.array(end) * 0.5 + (0, 1, 0), tip + np.array(end)], side)
            canvas.paint(
                canvas.tube(limb, [r + 0.8, r + 0.3, r - 0.2], flat=(2.2, 1, 1)), Material.ADRENAL, label, over=_ROOM
            )


def paint_spleen(canvas: Canvas, rng: np.random.Generator) -> None:
    """A wedge that follows the left wall, hollowed where kidney and stomach lie."""
    s = float(np.clip(rng.normal(0.96, 0.08), 0.75, 1.1))
    centre = np.array([-92, 24, 104]) + rng.normal(0, (8, 5, 3))
    turn = (rng.normal(-34, 7), rng.normal(-8, 6), rng.normal(22, 8))
    body = canvas.blob(centre, np.array([52, 47, 25]) * s, turn=turn, wobble=0.07, rng=rng)
    hollow = canvas.blob(centre + np.array((8, -22, -30)), (44, 34, 24))
    i, p, x = canvas.grid(body.box)
    inside = body.mask & (cavity(i, p, x, -1.5) < 1)
    canvas.paint(Region(body.box, inside).minus(hollow), Material.SPLEEN, ID["spleen"], over=_FREE)


def paint_liver(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """The cavity below the right dome down to a sloping lower face; left lobe across the midline; veins inside."""
    box = canvas.box((-215, -125, -145), (70, 95, 110))
    i, p, x = canvas.grid(box)
    big, reach, tip = rng.normal(0, 8), rng.normal(0, 9), rng.normal(8, 14)
    xs = np.array([-145, -118, -95, -70, -45, -20, 10, 40, 70, 95])
    low = (
        np.array([-84, -62, -62, -72, -84, -90, -98, -116, -146, -180])
        + big
        + np.array([1, 1.2, 1, 0.6, 0.3, 0, 0, 0, 0, 0]) * tip
    )
    face = np.interp(x - reach * np.clip((x + 20) / 60, 0, 1), xs, low).astype(np.float32)
    face = face + 0.16 * (-40 - p) * (x < -20) + 7 * waves(rng, (i, p, x), 120.0)
    medial = np.interp(i, [-120, -60], [16, 0]).astype(np.float32)
    back = np.interp(x - medial, [-145, -78, -52, -30, -5, 30, 70, 100], [80, 66, 30, -18, -46, -66, -90, -105]).astype(
        np.float32
    ) + 5 * waves(rng, (i, p, x), 110.0)
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


def paint_biliary(canvas: Canvas, rng: np.random.Generator) -> None:
    """Gallbladder under the liver (pear, neck up and back), pancreas, portal and splenic vein."""
    size = rng.uniform(0.75, 1.25)
    neck = np.array([-68, -56, -44]) + rng.normal(0, 3, 3)
    body = [neck, neck + np.array([14, -20, -14]) * size, neck + np.array([28, -38, -24]) * size]
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
    thick = rng.uniform(0.85, 1.2)
    gland = np.array(
        [(-14, -56, -26), (-38, -62, -24), (-54, -74, -4), (-66, -72, 22), (-76, -52, 52), (-88, -24, 84)]
    ) + rng.normal(0, 2, (6, 3))
    canvas.paint(
        canvas.tube(gland, np.array([9, 13, 9, 9, 9.5, 8]) * thick), Material.PANCREAS, ID["pancreas"], over=_FREE
    )


def _hollow(
    canvas: Canvas,
    points: np.ndarray,
    radii: np.ndarray,
    wall: float,
    materials: tuple[Material, Material],
    label: int,
    space: Region | None,
) -> None:
    line, r = curve(points, radii, float(canvas.step.min()))
    outer = canvas.stamps(line, r)
    painted = canvas.paint(outer if space is None else outer.minus(space), materials[0], label, over=_FREE)
    inner = canvas.stamps(line, np.maximum(r - wall, 0.5))
    both = inner.minus(Region(painted.box, ~painted.mask))
    canvas.paint(both, materials[1], inside=label)


def paint_bowel(canvas: Canvas, habitus: Habitus, space: Region, rng: np.random.Generator) -> None:
    """Stomach, duodenum, colon as a frame with haustra, and loops of small bowel in the room that is left."""
    full = rng.uniform(0.8, 1.22)
    stomach = np.array(
        [(-152, -8, 58), (-130, -26, 66), (-100, -48, 62), (-70, -80, 44), (-52, -92, 14), (-60, -84, -16)]
    ) + rng.normal(0, (5, 3, 4), (6, 3))
    _hollow(
        canvas,
        stomach,
        np.array([22, 34, 30, 25, 19, 9]) * full,
        4.0,
        (Material.STOMACH_WALL, Material.STOMACH_LUMEN),
        ID["stomach"],
        space,
    )
    duodenum = np.array(
        [
            (-62, -82, -24),
            (-60, -66, -44),
            (-40, -46, -46),
            (-8, -42, -46),
            (12, -48, -28),
            (12, -58, 4),
            (-10, -62, 24),
            (-24, -70, 30),
        ]
    ) + rng.normal(0, 2, (8, 3))
    _hollow(
        canvas,
        duodenum,
        rng.uniform(9.5, 13) * np.ones(8),
        3.0,
        (Material.BOWEL_WALL, Material.BOWEL_LUMEN),
        ID["duodenum"],
        None,
    )
    sag = rng.uniform(-25, 40)
    frame = np.array(
        [
            (92, -62, -84),
            (68, -50, -94),
            (30, -36, -102),
            (-10, -34, -104),
            (-34, -56, -98),
            (-34, -92, -76),
            (-26 + sag * 0.6, -102, -40),
            (-20 + sag, -104, 0),
            (-34 + sag * 0.7, -102, 42),
            (-62, -82, 82),
            (-92, -46, 104),
            (-74, -12, 112),
            (-34, 2, 112),
            (20, -2, 110),
            (70, -18, 104),
            (104, -50, 84),
            (118, -64, 48),
            (112, -46, 18),
            (96, -20, 4),
            (112, 18, 4),
            (140, 44, 2),
            (176, 50, 0),
            (206, 42, 0),
            (228, 34, 0),
            (246, 36, 0),
        ]
    )
    frame = frame + rng.normal(0, (5, 3, 4), frame.shape) * (np.arange(len(frame)) < 20)[:, None]
    frame[:, 1] = np.minimum(frame[:, 1], 60)
    calibre = np.array(
        [27, 27, 24, 23, 22, 20, 19, 18, 18, 18, 17, 15, 14, 14, 14, 15, 15, 14, 14, 15, 18, 19, 16, 10, 8]
    ) * rng.uniform(0.88, 1.25)
    line, radii = curve(frame, calibre, float(canvas.step.min()))
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    radii = radii * (
        1
        + 0.13 * np.sin(2 * np.pi * arc / rng.uniform(28, 40))
        + 0.12 * np.sin(2 * np.pi * arc / 170 + rng.uniform(0, 6))
    )
    colon = ID["colon"]
    canvas.paint(canvas.stamps(line, radii).minus(space), Material.COLON_WALL, colon, over=_FREE)
    inner = canvas.stamps(line, np.maximum(radii - 3.0, 1.0))
    canvas.paint(inner, Material.STOOL, inside=colon)
    n = int(84 - 1.1 * habitus.visceral)
    t = np.linspace(0, 1, n)
    loops = np.stack(
        [
            np.interp(t, [0, 1], [-30, 140]) + 26 * np.sin(2 * np.pi * (rng.uniform(3, 5) * t + rng.random())),
            -62 + 30 * np.sin(2 * np.pi * (rng.uniform(6, 9) * t + rng.random())),
            np.interp(t, [0, 1], [34, -24]) + 60 * np.sin(2 * np.pi * (rng.uniform(4, 6.5) * t + rng.random())),
        ],
        axis=1,
    ) + rng.normal(0, 7, (n, 3))
    r = rng.uniform(11, 15)
    line, radii = curve(loops, np.full(n, r), float(canvas.step.min()))
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    radii = radii * (1 + 0.2 * np.sin(2 * np.pi * arc / 95 + rng.uniform(0, 6)) + 0.12 * np.sin(2 * np.pi * arc / 41))
    region = canvas.stamps(line, radii).minus(space)
    i, p, x = canvas.grid(region.box)
    rim = 3.0 + habitus.visceral * 0.25
    region = Region(region.box, region.mask & (cavity(i, p, x, -rim) < 1))
    region = region.minus(_around(canvas, ID["colon"], region))
    painted = canvas.paint(region, Material.BOWEL_WALL, ID["small_bowel"], over=_FREE)
    inner = canvas.stamps(line, np.maximum(radii - 3.2, 1.0))
    canvas.paint(inner.minus(Region(painted.box, ~painted.mask)), Material.BOWEL_LUMEN, inside=ID["small_bowel"])


def _around(canvas: Canvas, label: int, region: Region) -> Region:
    mask = canvas.labels[region.box] == label
    out = mask.copy()
    for axis in range(3):
        a, m = np.moveaxis(out, axis, 0), np.moveaxis(mask, axis, 0)
        a[1:] |= m[:-1]
        a[:-1] |= m[1:]
    return Region(region.box, out)


def paint_pelvic_organs(canvas: Canvas, habitus: Habitus, rng: np.random.Generator) -> None:
    """Bladder with wall, prostate in men, uterus in women."""
    fill = rng.uniform(0.8, 1.28)
    radii = np.array([34, 38, 42]) * fill * rng.normal(1, 0.05, 3)
    centre = np.array([204 - radii[0], -62 + radii[1] * 0.62, rng.normal(0, 3)])
    bladder = ID["urinary_bladder"]
    canvas.paint(
        canvas.blob(centre, radii, power=2.3, wobble=0.05, rng=rng), Material.BLADDER_WALL, bladder, over=_ROOM
    )
    canvas.paint(canvas.blob(centre, radii - rng.uniform(2.5, 4.5), power=2.3), Material.URINE, inside=bladder)
    if habitus.sex == "male":
        s = rng.uniform(0.85, 1.3)
        canvas.paint(
            canvas.blob((216, -20, 0), np.array([15, 14, 20]) * s), Material.PROSTATE, ID["prostate"], over=_ROOM
        )
        for side in (1, -1):
            canvas.paint(canvas.tube(mirrored([(202, 2, 5), (196, 6, 24)], side), 5.0), Material.SOFT, over=_FREE)
    else:
        s = rng.uniform(0.8, 1.2)
        canvas.paint(
            canvas.blob((centre[0] - 8, centre[1] + radii[1] + 16 * s, rng.normal(0, 5)), np.array([26, 18, 25]) * s),
            Material.UTERUS,
            over=_FREE,
        )


def paint_mesentery(canvas: Canvas, rng: np.random.Generator) -> None:
    """Small vessels that fan out through the mesenteric fat."""
    points, radii = [], []
    for _ in range(16):
        end = np.array([rng.uniform(0, 110), rng.uniform(-100, -60), rng.uniform(-85, 85)])
        start = np.array([rng.uniform(-10, 40), -64.0, -6.0])
        t = np.linspace(0, 1, 40)[:, None]
        points.append(start + (end - start) * t + rng.normal(0, 4, 3) * np.sin(np.pi * t))
        radii.append(2.4 - 1.4 * t[:, 0])
    canvas.paint(canvas.stamps(np.concatenate(points), np.concatenate(radii)), Material.PORTAL, over=_FREE)
