"""How like real scans synthetic ones are: histograms of HU by organ, and how far they overlap.

Both sides are taken as an encoder sees them: on an isotropic grid, with the masks' rims and the scan's noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from training.world.imaging.contrast import Phase
from training.world.materials import ID, NAMES

Histogram = NDArray[np.float64]

BONES = tuple(n for n in ID if n.startswith(("vertebrae_", "hip_", "femur_", "sacrum")))
GROUPS: dict[str, tuple[str, ...]] = {
    "liver": ("liver",),
    "spleen": ("spleen",),
    "kidney": ("kidney_left", "kidney_right"),
    "muscle": ("autochthon_left", "autochthon_right"),
    "fat": (),
    "bone": BONES,
    "aorta": ("aorta",),
}
"""Organs that are compared; fat is what no organ's mask holds and is as dark as fat, rims left out."""

EDGES: dict[str, NDArray[np.float64]] = {
    name: np.arange(low, high + 1.0, step)
    for name, (low, high, step) in {
        "liver": (-100, 250, 5),
        "spleen": (-100, 250, 5),
        "kidney": (-150, 400, 10),
        "muscle": (-150, 200, 5),
        "fat": (-200, -20, 5),
        "bone": (-200, 1400, 20),
        "aorta": (-100, 600, 10),
    }.items()
}
LEAST = 200
"""Voxels below which an organ is left out."""


@dataclass(frozen=True)
class Likeness:
    """One organ in a real scan and in synthetic ones.

    Attributes
    ----------
    organ : str
        Key of ``GROUPS``.
    real : (float, float)
        Median HU and half of the range between the 16th and the 84th percentile.
    lowest, middle, highest : float
        Of the medians of the synthetic scans.
    spread : float
        The synthetic scans' usual half range.
    overlap : float
        Sum of the lower of both normalised histograms, the synthetic scans' pooled: 1 for the same, 0 for disjoint.
    best : float
        The same with the synthetic scan that is most alike.
    scans : int
        Synthetic scans that show the organ.
    """

    organ: str
    real: tuple[float, float]
    lowest: float
    middle: float
    highest: float
    spread: float
    overlap: float
    best: float
    scans: int

    @property
    def covered(self) -> bool:
        """Whether the real median lies between the synthetic ones."""
        return self.lowest <= self.real[0] <= self.highest


def organ_values(hu: NDArray[np.int16], labels: NDArray[np.uint8]) -> dict[str, NDArray[np.int16]]:
    """HU of every group that has voxels enough; ``labels`` are TotalSegmentator v2 ids on the grid of ``hu``."""
    out = {}
    for group, organs in GROUPS.items():
        mask = _fat(hu, labels) if group == "fat" else np.isin(labels, [ID[o] for o in organs])
        values = hu[mask]
        if len(values) >= LEAST:
            out[group] = values
    return out


def _fat(hu: NDArray[np.int16], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    loose = (labels == 0) & (hu > -200) & (hu < -20)
    inner = loose.copy()
    for axis in range(3):
        a, m = np.moveaxis(inner, axis, 0), np.moveaxis(loose, axis, 0)
        a[1:] &= m[:-1]
        a[:-1] &= m[1:]
    return inner


def histogram(group: str, values: NDArray[np.int16]) -> Histogram:
    """Shares of the values by bin, those beyond the ends in the outer bins."""
    edges = EDGES[group]
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    out: Histogram = counts / max(1, len(values))
    return out


def overlap(one: Histogram, other: Histogram) -> float:
    """Sum of the lower of two normalised histograms."""
    return float(np.minimum(one, other).sum())


def real_values(scan: Path, masks: Path, spacing: float) -> dict[str, NDArray[np.int16]]:
    """HU by group of a real scan with TotalSegmentator masks, resampled to ``spacing`` mm.

    Raises
    ------
    UserError
        If the masks name none of the organs.
    """
    from napari_ctvlp.scan import read_masks, read_scan
    from napari_ctvlp.scan.geometry import resample

    whole = read_scan(scan)
    found = read_masks(masks, whole)
    table = np.zeros(256, np.uint8)
    for value, name in found.names.items():
        table[int(value)] = ID.get(name, 0)
    labels = table[np.asarray(found.labels, np.uint8)]
    hu = np.asarray(whole.hu)
    factor = spacing / np.asarray(whole.spacing, float)
    onto = whole.affine.copy()
    onto[:3, :3] = whole.affine[:3, :3] * factor
    onto[:3, 3] += whole.affine[:3, :3] @ ((factor - 1) / 2)
    n = [max(1, int(k / f)) for k, f in zip(hu.shape, factor, strict=True)]
    move = partial(resample, affine=whole.affine, onto=onto, shape=(n[0], n[1], n[2]))
    out = organ_values(move(hu, order=1, fill=-1024), move(labels, order=0, fill=0))
    if not set(out) - {"fat"}:
        raise UserError(f"{masks.name}: none of {', '.join(g for g in GROUPS if g != 'fat')} is in these masks.")
    return out


def synthetic_values(
    seeds: Iterable[int], spacing: float, phase: Phase, region: str = "abdomen and pelvis", bodies: int = 5
) -> list[dict[str, NDArray[np.int16]]]:
    """HU by group of healthy synthetic scans of a phase."""
    from training.world.sample import PROCEDURAL, acquire, empty_scene, fill, take
    from training.world.scene import as_array

    out = []
    for seed in seeds:
        rng = np.random.default_rng([15485863, seed])
        body = PROCEDURAL.body(seed % bodies, spacing)
        labels, tissue = take(body, rng, region=region)
        scene = empty_scene(labels, tissue, body, rng, phase=phase)
        fill(scene, (), rng)
        hu = as_array(acquire(scene, rng)).astype(np.int16)
        out.append(organ_values(hu, as_array(scene.labels).astype(np.uint8)))
    return out


def likeness(real: dict[str, NDArray[np.int16]], synthetic: Sequence[dict[str, NDArray[np.int16]]]) -> list[Likeness]:
    """Compare a real scan with synthetic ones, organ by organ."""
    rows = []
    for group, values in real.items():
        others = [s[group] for s in synthetic if group in s]
        if not others:
            continue
        mine = histogram(group, values)
        each = [histogram(group, v) for v in others]
        middles = [float(np.median(v)) for v in others]
        rows.append(
            Likeness(
                group,
                (float(np.median(values)), _half(values)),
                min(middles),
                float(np.median(middles)),
                max(middles),
                float(np.median([_half(v) for v in others])),
                overlap(mine, np.mean(each, axis=0)),
                max(overlap(mine, h) for h in each),
                len(others),
            )
        )
    return rows


def _half(values: NDArray[np.int16]) -> float:
    low, high = np.percentile(values, (16, 84))
    return float(high - low) / 2


def compare(scan: Path, masks: Path, phase: Phase, *, samples: int = 20, spacing: float = 3.0) -> list[Likeness]:
    """Compare a real scan with healthy synthetic ones of its phase.

    Parameters
    ----------
    scan, masks : Path
        A CT scan and its TotalSegmentator masks.
    phase : str
        Contrast phase of the scan.
    samples, spacing : int, float
        How many synthetic scans, and the grid in mm that all are taken to.
    """
    return likeness(real_values(scan, masks, spacing), synthetic_values(range(samples), spacing, phase))


def table(rows: Sequence[Likeness]) -> str:
    """The comparison as text."""
    lines = [f"{'organ':8} {'real HU':>12} {'synthetic medians':>22} {'spread':>7} {'overlap':>8} {'best':>6}  covered"]
    for r in rows:
        medians = f"{r.lowest:.0f} .. {r.middle:.0f} .. {r.highest:.0f}"
        lines.append(
            f"{r.organ:8} {r.real[0]:6.0f} ±{r.real[1]:4.0f} {medians:>22} {r.spread:7.0f} {r.overlap:8.2f}"
            f" {r.best:6.2f}  {'yes' if r.covered else 'no'}"
        )
    return "\n".join(lines)


assert set(GROUPS) == set(EDGES) and set(BONES) <= set(NAMES.values())
