"""Abnormalities of the urinary bladder and the prostate."""

from __future__ import annotations

import numpy as np
import torch

from training.world.brushes import ball, blend, distance, joined, lesions, pick, places, sites_of, smooth_field
from training.world.findings.bulging import bulge, claim, extend, mottle, skewed
from training.world.findings.kinds import Abnormality
from training.world.growth import grow
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_BLADDER = ("urinary_bladder",)
_PROSTATE = ("prostate",)


def bladder_wall_thickening(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """The wall 5-15 mm thick at the expense of the lumen: all round and trabeculated, or one patch of it."""
    box = scene.organ_box(label, scene.spacing)
    bladder = scene.labels[box] == label
    lumen = bladder & (scene.tissue[box] == int(Material.URINE))
    if int(lumen.sum()) * scene.spacing**3 < 8_000:
        return None
    depth = distance(~bladder, scene.spacing, 26).clamp(max=26)
    uneven = 1 + 0.14 * smooth_field(rng, tuple(bladder.shape), 16 / scene.spacing, scene.device).clamp(-1.5, 1.5)
    grade = float(rng.random())
    thick = max(5 + 10 * grade, 1.6 * scene.spacing)
    deepest = float(depth[bladder].max())
    thick = min(thick, 0.6 * deepest)
    if thick < 4.5:
        return None
    wall = bladder & (depth <= thick * uneven)
    if rng.random() < 0.35:
        site = pick(places(lumen & (depth <= depth[lumen].min() + scene.spacing), box), rng)
        reach = float(rng.uniform(18, 40))
        far = [
            (torch.arange(s.start, s.stop, device=scene.device) - float(c)) ** 2 for s, c in zip(box, site, strict=True)
        ]
        far_mm = (far[0][:, None, None] + far[1][None, :, None] + far[2][None, None, :]).sqrt() * scene.spacing
        # the patch thins out towards its edge
        wall = bladder & (depth <= thick * uneven * (1.6 * (1 - far_mm / reach)).clamp(0, 1)) & (far_mm < reach)
    new = wall & lumen
    if int(new.sum()) * scene.spacing**3 < 400:
        return None
    scene.tissue[box][new] = int(Material.BLADDER_WALL)
    return finding_of(label, "bladder_wall_thickening", wall, box, thick, grade=grade)


def bladder_diverticulum(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One or two outpouchings of urine, 10-60 mm, with a thin wall and a narrow neck, at the back or the side."""
    box = scene.organ_box(label, scene.spacing)
    wall = (scene.labels[box] == label) & (scene.tissue[box] == int(Material.BLADDER_WALL))
    sites = places(wall, box)
    if len(sites) < 8:
        return None
    middle = sites.float().mean(0)
    # most arise near the ureters: behind or lateral, not in front
    sites = sites[(sites[:, 1] > middle[1]) | ((sites[:, 2] - middle[2]).abs() > 0.5 * wall.shape[2] / 2)]
    count = 2 if rng.random() < 0.2 else 1
    done: list[tuple[float, Box, torch.Tensor]] = []
    named = rng.random() < 0.6
    for _ in range(count):
        d = skewed(rng, 10, 60)
        blob = None
        while blob is None and d >= 10:  # there is not much room in the pelvis
            out = 0.85 * d / 2 + 2
            blob = bulge(scene, label, sites, d / 2, rng, out=out, free=(Material.FAT,), rough=0.08, least=0.7)
            d = d if blob is not None else 0.75 * d
        if blob is None:
            continue
        where, cover = blob
        sac = (cover > 0.5) & (scene.labels[where] != label)
        if int(sac.sum()) * scene.spacing**3 < 120:
            continue
        rind = distance(cover <= 0.5, scene.spacing, 6) <= max(1.1 * scene.spacing, 1.5)
        fluid = sac & ~rind if d > 5 * scene.spacing else sac
        scene.tissue[where][sac] = int(Material.BLADDER_WALL)
        scene.tissue[where][fluid] = int(Material.FLUID)
        neck = (distance(fluid, scene.spacing, 6) <= 3) & (scene.tissue[where] == int(Material.BLADDER_WALL))
        scene.tissue[where][neck & (scene.labels[where] == label)] = int(Material.FLUID)
        if named:
            scene.labels[where][sac & (scene.labels[where] == 0)] = label
        extend(scene, label, where)
        done.append((d, where, sac))
    if not done:
        return None
    biggest = max(d for d, _, _ in done)
    whole, mask = joined([(b, m) for _, b, m in done])
    return finding_of(label, "bladder_diverticulum", mask, whole, biggest, count=len(done), grade=(biggest - 10) / 50)


def bladder_stone(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to four calculi of 4-40 mm that lie on the floor (the back) of the lumen, 300-1300 HU."""
    box = scene.organ_box(label, scene.spacing)
    lumen = (scene.labels[box] == label) & (scene.tissue[box] == int(Material.URINE))
    if int(lumen.sum()) < 30:
        return None
    p = torch.arange(lumen.shape[1], device=scene.device)[None, :, None]
    floor = (lumen * p).amax(1)  # last row of the lumen, by (i, l)
    columns = torch.nonzero(floor >= 0.8 * int(floor.max()))
    done: list[tuple[float, Box, torch.Tensor]] = []
    value = float(rng.uniform(300, 1300))
    for _ in range(int(rng.integers(2, 5)) if rng.random() < 0.35 else 1):
        d = skewed(rng, 4, 40) if not done else skewed(rng, 4, 16)
        i, x = columns[int(rng.integers(len(columns)))].tolist()
        lift = 0.42 * d / scene.spacing
        centre = (box[0].start + i, box[1].start + int(floor[i, x]) + 0.5 - lift, box[2].start + x)
        where, cover = ball(scene, centre, d / 2 * rng.uniform(0.8, 1.15, 3), rng, 0.06)
        cover = cover * (scene.labels[where] == label)
        if cover.numel() == 0 or float(cover.max()) < 0.4:
            continue
        blend(scene, where, cover, value * float(rng.uniform(0.85, 1.1)), 25, rng)
        scene.tissue[where][cover > 0.5] = int(Material.CALCIUM)
        done.append((d, where, cover > min(0.5, 0.7 * float(cover.max()))))
    if not done:
        return None
    biggest = max(d for d, _, _ in done)
    whole, mask = joined([(b, m) for _, b, m in done])
    return finding_of(label, "bladder_stone", mask, whole, biggest, count=len(done), grade=(biggest - 4) / 36)


def bladder_mass(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A lobulated polyp of 10-50 mm from the wall into the lumen, native 24-46 HU, enhancing."""
    box = scene.organ_box(label, scene.spacing)
    bladder = scene.labels[box] == label
    lumen = bladder & (scene.tissue[box] == int(Material.URINE))
    rim = lumen & (distance(~lumen, scene.spacing, 2 * scene.spacing) <= 1.5 * scene.spacing)
    sites = places(rim, box)
    room = float(lumen.sum()) * scene.spacing**3
    if len(sites) < 8:
        return None
    d = min(skewed(rng, 10, 50), 0.8 * room ** (1 / 3))
    if d < 9:
        return None
    phase = scene.contrast.phase
    value = float(rng.uniform(24, 46) if phase == "native" else rng.uniform(48, 92))
    root = pick(sites, rng)
    middle = np.array(sites.float().mean(0).tolist())
    inward = (middle - root) / max(1e-3, float(np.linalg.norm(middle - root)))
    parts = []
    for k in range(int(rng.integers(2, 5))):
        r = d / 2 * (1 if k == 0 else float(rng.uniform(0.45, 0.75)))
        shift = rng.normal(0, 0.3 * d / scene.spacing, 3) if k else np.zeros(3)
        centre = root + inward * 0.35 * d / scene.spacing + shift
        where, cover = ball(scene, centre, r * rng.uniform(0.85, 1.1, 3), rng, 0.14)
        # a steep edge: bright urine beside it would raise its mean
        cover = (2 * cover).clamp(max=1) * (scene.labels[where] == label)
        if cover.numel() and float(cover.max()) >= 1:
            mottle(scene, (where, cover), value, 3, rng)
            parts.append((where, cover >= 1))
    if not parts:
        return None
    if rng.random() < 0.12:
        claim(scene, label, *parts[0], rng, 1.0)
    whole, mask = joined(parts)
    return finding_of(label, "bladder_mass", mask, whole, d, grade=(d - 10) / 40)


def prostate_enlargement(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A prostate grown to 1.4-4 of its volume; its middle lobe lifts the floor of the bladder."""
    free = (Material.FAT, Material.SOFT, Material.BLADDER_WALL, Material.URINE)
    finding = grow(
        scene,
        label,
        "prostate_enlargement",
        rng,
        factor=(1.4, 4.0),
        reach=20.0,
        free=free,
        material=Material.PROSTATE,
    )
    bladder = ID["urinary_bladder"]
    if finding is None or not scene.has(bladder):
        return finding
    box = scene.organ_box(label, 5)
    # the bladder keeps a wall over what indents it
    close = distance(scene.labels[box] == label, scene.spacing, 5) <= max(3.0, scene.spacing)
    lumen = (scene.labels[box] == bladder) & (scene.tissue[box] == int(Material.URINE))
    scene.tissue[box][close & lumen] = int(Material.BLADDER_WALL)
    scene.rebox(bladder, scene.organ_box(bladder))
    return finding


def prostate_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to seven specks of 2-7 mm around the urethra, 180-800 HU."""
    return lesions(
        scene,
        label,
        "prostate_calcification",
        rng,
        sites=sites_of(scene, label, None, 6.0),
        diameter=(2.5, 7),
        hu=(180, 800),
        most=7,
        many=0.7,
        sd=25,
        drop=0.0,
        material=Material.CALCIUM,
    )


PELVIS: tuple[Abnormality, ...] = (
    Abnormality(
        "prostate_enlargement",
        "prostate",
        _PROSTATE,
        prostate_enlargement,
        how="Growth to 1.4-4 of the volume, into the bladder's floor.",
        source="own range, set with Roehrborn, Int J Impot Res 2008;20:S11 in mind",
        stage="shape",
        factor=(1.35, 4.1),
        rate=0.25,
    ),
    Abnormality(
        "bladder_wall_thickening",
        "bladder",
        _BLADDER,
        bladder_wall_thickening,
        how="Wall 5-15 mm thick inwards: diffuse with trabeculae, one in three a patch of 18-40 mm.",
        source="own range, set with Manieri et al., J Urol 1998;159:761 in mind",
        hu=(15, 52),
        enhanced=(25, 90),
        stage="shape",
        rate=0.05,
    ),
    Abnormality(
        "bladder_diverticulum",
        "bladder",
        _BLADDER,
        bladder_diverticulum,
        how="One or two thin-walled sacs of urine of 10-60 mm, behind or beside, with a neck.",
        source="own range, set with Radiopaedia: Urinary bladder diverticulum in mind",
        hu=(-10, 50),
        enhanced=(-10, 75),
        stage="shape",
        where="beside",
        rate=0.02,
    ),
    Abnormality(
        "bladder_mass",
        "bladder",
        _BLADDER,
        bladder_mass,
        how="A lobulated polyp of 10-50 mm on the wall.",
        source="own range, set with Helenius et al., Acta Radiol 2013 in mind (enhancement of 17-37 HU)",
        hu=(15, 55),
        enhanced=(35, 120),
        rate=0.015,
    ),
    Abnormality(
        "bladder_stone",
        "bladder",
        _BLADDER,
        bladder_stone,
        how="One to four dependent calculi of 4-40 mm.",
        source="own range",
        hu=(180, 1500),
        rate=0.01,
    ),
    Abnormality(
        "prostate_calcification",
        "prostate",
        _PROSTATE,
        prostate_calcification,
        how="One to seven specks of 2.5-7 mm in the middle of the gland.",
        source="own range, set with Kim et al., Sci Rep 2025 in mind (most lie centrally, at 100 HU or more)",
        hu=(110, 850),
        rate=0.2,
    ),
)
