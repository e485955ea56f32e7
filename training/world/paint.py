"""Abnormalities painted into a real scan: semi-synthetic data on a real background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.bodies.derive import derive
from training.world.bodies.grids import box_between, nearest, sampled, whole
from training.world.bodies.label_maps import at_spacing, to_v2_labels
from training.world.bodies.surroundings import fill_from_ct
from training.world.brushes import smooth_field
from training.world.findings.catalogue import ABNORMALITIES
from training.world.imaging.artefacts import add_streaks
from training.world.imaging.contrast import Contrast
from training.world.imaging.insert import grain_like, seen_change
from training.world.imaging.measure import (
    Grain,
    local_mean,
    measure_contrast,
    measure_noise,
    measure_spread,
    without_noise,
)
from training.world.imaging.render import fill_bowel
from training.world.materials import ID, Material
from training.world.regrid import on_grid, relabelled
from training.world.scene import Box, PaintedFinding, Scene, label_boxes, tight_box

if TYPE_CHECKING:
    from napari_ctvlp.scan import OrganMasks, Scan

Wish = tuple[str, str | None]
"""(slug, organ); None: any organ that can have it."""

_KEY = 32452843
ORGANS_TRIED, STREAMS_TRIED = 8, 3
MOST_VOXELS = 16_000_000
"""Of the grid that is painted on."""
FINEST_MM = 0.7

_CONTENTS = (
    Material.GAS,
    Material.STOMACH_LUMEN,
    Material.BOWEL_LUMEN,
    Material.STOOL,
    Material.COLON_FLUID,
    Material.METAL,
    Material.CALCIUM,
)
"""What has no HU of its own at a place, but by what fills it."""


@dataclass(frozen=True, eq=False)
class PaintedScan:
    """A real scan after painting, on its own grid.

    Attributes
    ----------
    hu : (I, P, L) int16
        As it was but where something was painted.
    labels : (I, P, L) uint8
        By the numbers of the masks that were given.
    names : mapping of int to str
        Label to organ.
    lesions : (I, P, L) uint8
        n at the abnormal voxels of finding n - 1; where findings overlap, the later one.
    findings : tuple of PaintedFinding
        Boxes, centres and masks on the scan's grid.
    left_out : tuple of Wish
        What could not be painted: no such organ in view, or no room.
    contrast : Contrast
        Estimated.
    noise_hu : float
        Standard deviation of the scan's own noise.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    names: Mapping[int, str]
    lesions: NDArray[np.uint8]
    findings: tuple[PaintedFinding, ...]
    left_out: tuple[Wish, ...]
    contrast: Contrast
    noise_hu: float


@dataclass(eq=False)
class _Ground:
    """A scan on the isotropic grid that is painted on: HU, the same without noise, labels by v2 number, tissue."""

    hu: Tensor
    clean: Tensor
    labels: Tensor
    tissue: Tensor
    spacing: float
    noise: Grain


def paint_scan(
    scan: Scan,
    masks: OrganMasks,
    wishes: Sequence[Wish],
    seed: int = 0,
    *,
    spacing: float | None = None,
    device: torch.device | str = "cpu",
) -> PaintedScan:
    """Paint abnormalities of the catalogue into a real CT.

    The scan's noise is taken out first, painting is done without it, and what painting changed is blurred by the scan's
    own point spread and added to the scan: so a lesion has the noise of the place where it lies, and all voxels that
    nothing was painted into keep their exact HU.

    Parameters
    ----------
    scan, masks : Scan, OrganMasks
        As ``read_scan`` and ``read_masks`` give them.
    wishes : sequence of (slug, organ or None)
    seed : int
        The same arguments give the same scan.
    spacing : float, optional
        Of the isotropic grid to paint on, in mm; by default the scan's finest voxel size, or as fine as
        ``MOST_VOXELS`` allow.
    device : device
        Where to compute.
    """
    rng = np.random.default_rng([_KEY, seed])
    step = spacing if spacing is not None else _working_spacing(scan)
    ground = _ground(scan, masks, step, rng, device)
    contrast = measure_contrast(ground.clean, ground.tissue, rng)
    labels = ground.labels.clone()
    scene = Scene(labels, ground.tissue.clone(), step, contrast, label_boxes(labels))
    shapes, look, images = (np.random.default_rng(s) for s in rng.integers(2**63, size=3))
    order = list(ABNORMALITIES)
    wishes = sorted(wishes, key=lambda w: order.index(w[0]))
    left: list[Wish] = []
    findings = _granted(scene, [w for w in wishes if ABNORMALITIES[w[0]].stage == "shape"], shapes, left)
    scene.hu = _rendered(scene, ground, look)
    findings += _granted(scene, [w for w in wishes if ABNORMALITIES[w[0]].stage == "image"], images, left)
    hu, noise = _imaged(scan, scene, ground, look)
    numbers, names = relabelled(masks, scene, ground.labels, scan.spacing)
    moved = tuple(on_grid(f, step, scan.spacing, scan.hu.shape) for f in findings)
    lesions = np.zeros(scan.hu.shape, np.uint8)
    for n, finding in enumerate(moved, 1):
        lesions[finding.slices][finding.mask.numpy()] = n
    return PaintedScan(hu, numbers, names, lesions, moved, tuple(left), contrast, noise.sd)


def _working_spacing(scan: Scan) -> float:
    if np.allclose(scan.spacing, scan.spacing[0], rtol=1e-3):
        finest = float(scan.spacing[0])
    else:
        finest = max(FINEST_MM, float(min(scan.spacing)))
    volume = float(np.prod(scan.hu.shape) * np.prod(scan.spacing))
    return max(finest, (volume / MOST_VOXELS) ** (1 / 3))


def _ground(
    scan: Scan, masks: OrganMasks, spacing: float, rng: np.random.Generator, device: torch.device | str
) -> _Ground:
    numbers, parts = to_v2_labels(masks)
    on, hu, kept = at_spacing(numbers, scan, parts, scan.spacing, spacing)
    assert hu is not None
    on, hu = on.to(device), hu.to(device)
    tissue = derive(on, spacing, rng, hu, {m: v.to(device) for m, v in kept.items()})
    noise = measure_noise(hu, tissue, spacing)
    clean = without_noise(hu, noise.sd)
    fill_from_ct(on, tissue, clean, spacing, rng)
    return _Ground(hu, clean, on, tissue, spacing, noise)


def _granted(scene: Scene, wishes: Sequence[Wish], rng: np.random.Generator, left: list[Wish]) -> list[PaintedFinding]:
    """Paint each wish in the first organ that takes it; what no organ takes is added to ``left``."""
    out = []
    for slug, organ in wishes:
        kind = ABNORMALITIES[slug]
        own = np.random.default_rng(rng.integers(2**63))
        organs = [organ] if organ is not None else [str(o) for o in own.permutation(list(kind.organs))]
        here = [o for o in organs if scene.has(ID[o])]
        # an organ that the scan cuts cannot always be judged: whole ones first
        here = sorted(here, key=lambda o: scene.is_cut(ID[o]))[:ORGANS_TRIED]
        finding = None
        for place in (o for o in here for _ in range(STREAMS_TRIED)):
            stream = np.random.default_rng(own.integers(2**63))
            if scene.has(ID[place]):
                finding = kind.paint(scene, ID[place], stream)
            if finding is not None:
                out.append(finding)
                break
        if finding is None:
            left.append((slug, organ))
    return out


def _rendered(scene: Scene, ground: _Ground, rng: np.random.Generator) -> Tensor:
    """The scan without noise, with HU for the voxels whose tissue painting has changed."""
    out = ground.clean.clone()
    changed = scene.tissue != ground.tissue
    extent = tight_box(changed)
    if extent is None:
        return out
    if bool((changed & (scene.tissue != int(Material.GAS))).any()):
        filled = scene.tissue.clone()
        fill_bowel(filled, scene.labels, scene.boxes, rng)
        scene.tissue[changed] = filled[changed]
    box = scene.widened(extent, 15.0)
    new, old, clean, mask = scene.tissue[box], ground.tissue[box], ground.clean[box], changed[box]
    field = smooth_field(rng, tuple(new.shape), 6.0 / scene.spacing, scene.device)
    for value in torch.unique(new[mask]).tolist():
        material = Material(value)
        here = mask & (new == value)
        level = torch.full_like(clean, float(scene.contrast.mean[material]))
        if material not in _CONTENTS:
            # the same tissue nearby says more of its HU here than the mean of the whole scan does
            same = (old == value).float()
            reach = max(1, round(12 / scene.spacing))
            near = local_mean(clean, same, reach)
            share = local_mean(same, torch.ones_like(same), reach)
            level = torch.where(share > 0.02, near, level)
        out[box][here] = (level + float(scene.contrast.texture[material]) * field)[here]
    return out


def _imaged(scan: Scan, scene: Scene, ground: _Ground, rng: np.random.Generator) -> tuple[NDArray[np.int16], Grain]:
    """The scan with the painted change, as its scanner would show it; and the noise of the scan."""
    spacing = scan.spacing
    hu = torch.from_numpy(scan.hu.astype(np.float32))
    same = np.allclose(spacing, ground.spacing, atol=1e-3)
    if same:
        noise = ground.noise
    else:
        tissue = nearest(ground.tissue.cpu(), (ground.spacing,) * 3, spacing, whole(_triple(scan.hu.shape)))
        noise = measure_noise(hu, tissue, float(np.mean(spacing)))
    change = scene.image - ground.clean
    touched = change.abs() > 0.5
    extent = tight_box(touched)
    out = scan.hu.copy()
    if extent is None:
        return out, noise
    spread = measure_spread(hu, spacing)
    box = scene.widened(extent, 3 * max(spread))
    part = seen_change(change[box], ground.clean[box], touched[box], np.asarray(spread) / ground.spacing)
    missing = _missing_noise(ground, box, touched[box])
    if scene.metal:
        change = torch.zeros_like(change)
        change[box] = part
        for place, metal in scene.metal:
            add_streaks(change, metal, place, ground.spacing, rng)
        box = whole(scene.shape)
        part, missing = change, _spread_out(missing, scene.widened(extent, 3 * max(spread)), scene.shape)
    steps = (ground.spacing,) * 3
    start = (box[0].start, box[1].start, box[2].start)
    target = box_between(box, steps, spacing, scan.hu.shape)
    delta = sampled(part, steps, spacing, target, start).cpu()
    share = sampled(missing, steps, spacing, target, start).cpu()
    delta += share * grain_like(delta, noise, rng)
    where = (delta.abs() >= 0.5).numpy()
    new = (hu[target] + delta).round_().clamp_(-1024, 3071).to(torch.int16).numpy()
    out[target] = np.where(where, new, out[target])
    return out, noise


def _missing_noise(ground: _Ground, box: Box, touched: Tensor) -> Tensor:
    """Share of the scan's noise (0..1) that is missing where something was painted, as over cleaned borders."""
    kept = (ground.hu[box] - ground.clean[box]) ** 2
    around = local_mean(kept, torch.ones_like(kept), 2) / ground.noise.sd**2
    share = (1 - around).clamp(0, 1).sqrt()
    return torch.where(share > 0.6, share, 0.0) * touched


def _spread_out(part: Tensor, box: Box, shape: tuple[int, int, int]) -> Tensor:
    out = torch.zeros(shape, device=part.device)
    out[box] = part
    return out


def _triple(shape: tuple[int, ...]) -> tuple[int, int, int]:
    a, b, c = shape
    return a, b, c
