"""A synthetic labelled scan as a pure function of its seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from training.world.bodies.body import Arms, Body, BodySource, Sex
from training.world.bodies.procedural import ProceduralBodies
from training.world.brushes import among, smooth_field
from training.world.deform import Shape, take
from training.world.findings.catalogue import ABNORMALITIES
from training.world.findings.plan import FLOOR, Choice, dark_urine, plan
from training.world.imaging.contrast import Contrast, Phase, draw_contrast
from training.world.imaging.render import fill_bowel, layer_urine, render
from training.world.imaging.scanner import acquire
from training.world.materials import BONE, ID
from training.world.scene import PaintedFinding, Scene, label_boxes

_KEY = 104729
PROCEDURAL = ProceduralBodies()


@dataclass(frozen=True, eq=False)
class WorldSample:
    """A synthetic scan with its truth.

    Attributes
    ----------
    hu : (I, P, L) int16
        Hounsfield units.
    labels : (I, P, L) uint8
        TotalSegmentator v2 ids, as a segmenter would give them: borders are off by a voxel in places.
    spacing : float
        Isotropic, mm.
    findings : tuple of PaintedFinding
        What was painted and is inside the field of view.
    phase : str
        native, arterial, portal or delayed.
    sex, age, arms
        Of the body.
    seed : int
        What it was made from.
    """

    hu: Tensor
    labels: Tensor
    spacing: float
    findings: tuple[PaintedFinding, ...]
    phase: Phase
    sex: Sex
    age: float
    arms: Arms
    seed: int


def make_sample(
    seed: int,
    *,
    spacing: float = 3.0,
    shape: Shape | None = None,
    region: str | None = None,
    bodies: BodySource = PROCEDURAL,
    body: int | None = None,
    abnormal: float = 1.0,
    rarest: float = FLOOR,
    choices: Sequence[Choice] | None = None,
    twin: bool = False,
    device: torch.device | str = "cpu",
) -> WorldSample:
    """Make the scan of a seed; the same arguments give the same bits on one platform.

    Parameters
    ----------
    seed : int
        Not negative.
    spacing : float
        Isotropic voxel size in mm.
    shape : (int, int, int), optional
        Exactly these voxels; by default the region's extent decides.
    region : str, optional
        One of ``training.world.deform.REGIONS``; drawn by default.
    bodies : BodySource
        Where anatomy comes from.
    body : int, optional
        Number of the body; by default the seed's own. Splits of a dataset keep their bodies apart by it.
    abnormal : float
        How many abnormalities there are, as a factor on their usual rates; 0 paints none.
    rarest : float
        Least chance of any abnormality in a scan that shows its organs, before that factor.
    choices : sequence of (slug, organ), optional
        Paint these instead of drawing any; what has no place in the scan is left out.
    twin : bool
        Leave out every abnormality with a chance of one half, and change nothing else: what then differs between the
        two scans is what they are told apart by.
    device : device
        Where the volumes are made.
    """
    rng = np.random.default_rng([_KEY, seed])
    anatomy = bodies.body(seed if body is None else body, spacing)
    labels, tissue = take(anatomy, rng, shape=shape, region=region, device=device)
    scene = empty_scene(labels, tissue, anatomy, rng, choices)
    chosen = plan(scene, anatomy, rng, abnormal, rarest) if choices is None else _placed(scene, choices)
    coins = np.random.default_rng([_KEY, seed, 1]).random(len(chosen)) < 0.5
    findings = fill(scene, chosen, rng, {c for c, tails in zip(chosen, coins, strict=True) if twin and tails})
    _misplace(scene, rng)
    hu = acquire(scene, rng)
    kept = tuple(f for f in (_in_view(f, hu) for f in findings) if f is not None)
    c = scene.contrast
    return WorldSample(hu, scene.labels, spacing, kept, c.phase, anatomy.sex, anatomy.age, anatomy.arms, seed)


def empty_scene(
    labels: Tensor,
    tissue: Tensor,
    body: Body,
    rng: np.random.Generator,
    choices: Sequence[Choice] | None = None,
    phase: Phase | None = None,
) -> Scene:
    """A scene of a body's view before anything is painted, its contrast drawn."""
    excretion = choices is None or not dark_urine(choices)
    contrast: Contrast = draw_contrast(rng, excretion=excretion, age=body.age, phase=phase)
    return Scene(labels, tissue, body.spacing, contrast, label_boxes(labels))


def fill(
    scene: Scene, chosen: Sequence[Choice], rng: np.random.Generator, spared: Collection[Choice] = ()
) -> list[PaintedFinding]:
    """Paint shapes, render, and paint what changes attenuation; the scene is ready for the scanner.

    What is ``spared`` of what was chosen is not painted, and nothing else is painted in another way for that.
    """
    # streams of their own, so that the same body without abnormalities is rendered the same
    shapes, look, images = (np.random.default_rng(seed) for seed in rng.integers(2**63, size=3))
    findings = _paint(scene, chosen, shapes, "shape", spared)
    fill_bowel(scene.tissue, scene.labels, scene.boxes, look)
    scene.hu = render(scene.tissue, scene.labels, scene.contrast, look)
    if scene.contrast.excretion:
        layer_urine(scene.hu, scene.tissue, scene.boxes[ID["urinary_bladder"] - 1], look)
    return findings + _paint(scene, chosen, images, "image", spared)


def _placed(scene: Scene, choices: Sequence[Choice]) -> list[Choice]:
    order = list(ABNORMALITIES)
    here = [c for c in choices if scene.has(ID[c[1]])]
    return sorted(here, key=lambda c: (order.index(c[0]), ID[c[1]]))


def _paint(
    scene: Scene, chosen: Sequence[Choice], rng: np.random.Generator, stage: str, spared: Collection[Choice]
) -> list[PaintedFinding]:
    out = []
    for slug, organ in chosen:
        kind = ABNORMALITIES[slug]
        if kind.stage != stage:
            continue
        # each painter has its own stream, so that one that gives up does not change the others
        own = np.random.default_rng(rng.integers(2**63))
        if (slug, organ) in spared:
            continue
        finding = kind.paint(scene, ID[organ], own) if scene.has(ID[organ]) else None
        if finding is not None:
            out.append(finding)
    return out


def _in_view(finding: PaintedFinding, hu: Tensor) -> PaintedFinding | None:
    """What of a finding lies in the round field of view; None when its middle does not."""
    i, p, x = finding.centre
    if int(hu[i, p, x]) <= -1024:
        return None
    mask = finding.mask & (hu[finding.slices] > -1024)
    return replace(finding, mask=mask)


def _misplace(scene: Scene, rng: np.random.Generator) -> None:
    """Shift organ borders by one voxel in places: no segmenter is exact, and a mask's rim holds its neighbours' HU.

    Bone keeps its label: segmenters do not take it for a vessel or a muscle.
    """
    labels = scene.labels
    kept = labels.clone()
    share, cell = rng.uniform(0.0, 0.28), rng.uniform(3.0, 7.0)
    for axis in rng.permutation(3)[:2].tolist():
        field = smooth_field(rng, scene.shape, cell, scene.device)
        n = labels.shape[axis]
        limit = float(field[::8, ::4, ::4].abs().flatten().quantile(1 - share)) if share > 0 else 9.0
        before = labels.clone()
        a, b = (0, n - 1), (1, n - 1)
        _replace(labels.narrow(axis, *b), before.narrow(axis, *a), field.narrow(axis, *b) > limit)
        _replace(labels.narrow(axis, *a), before.narrow(axis, *b), field.narrow(axis, *a) < -limit)
    _replace(labels, kept, among(scene.tissue, BONE))


def _replace(labels: Tensor, other: Tensor, where: Tensor) -> None:
    """Take the other labels where told; five times as fast for bytes as choosing by a mask."""
    labels.bitwise_xor_(other).mul_(~where).bitwise_xor_(other)
