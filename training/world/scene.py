"""The scene that abnormalities are painted into, and the brushes they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from training.world.materials import NAMES, Material
from training.world.physics import Contrast, Float, smooth_field

Box = tuple[slice, slice, slice]
IndexBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class PaintedFinding:
    """An abnormality that was painted.

    ``centre`` is a voxel index (I, P, L) of the largest lesion, ``box`` its (start, stop) per axis; ``size_mm`` its
    diameter (of diffuse changes, the largest extent; of effusions, the thickness; of an aneurysm, the largest
    diameter); ``count`` the lesions.
    """

    organ: str
    abnormality: str
    centre: tuple[int, int, int]
    size_mm: float
    box: IndexBox
    count: int = 1
    severity: Literal["mild", "moderate", "severe"] = "moderate"


@dataclass(eq=False)
class Scene:
    """The volumes that painting changes; ``hu`` is None while shapes are still changed."""

    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    spacing: float
    contrast: Contrast
    boxes: list[Box | None]
    hu: Float | None = None
    metal: list[tuple[Box, NDArray[np.bool_]]] = field(default_factory=list)

    @property
    def image(self) -> Float:
        """The HU volume; only for abnormalities that paint after rendering."""
        assert self.hu is not None
        return self.hu

    def organ_box(self, label: int, margin_mm: float = 0.0) -> Box:
        """The organ's box, widened and clipped to the volume."""
        box = self.boxes[label - 1]
        assert box is not None
        m = int(np.ceil(margin_mm / self.spacing))
        a = [max(0, s.start - m) for s in box]
        b = [min(n, s.stop + m) for s, n in zip(box, self.labels.shape, strict=True)]
        return (slice(a[0], b[0]), slice(a[1], b[1]), slice(a[2], b[2]))


Painter = Callable[[Scene, int, np.random.Generator], "PaintedFinding | None"]


def index_box(box: Box) -> IndexBox:
    a, b, c = ((int(s.start), int(s.stop)) for s in box)
    return (a, b, c)


def tight_box(mask: NDArray[np.bool_], box: Box) -> Box:
    found = ndi.find_objects(mask.astype(np.uint8))
    inner = found[0]
    a, b, c = (slice(o.start + s.start, o.start + s.stop) for o, s in zip(box, inner, strict=True))
    return (a, b, c)


def finding_of(
    scene: Scene,
    label: int,
    slug: str,
    mask: NDArray[np.bool_],
    box: Box,
    size: float,
    count: int = 1,
    grade: float = 0.5,
) -> PaintedFinding:
    points = np.argwhere(mask)
    centre = points[np.argmin(((points - points.mean(0)) ** 2).sum(1))]
    index = tuple(int(c + s.start) for c, s in zip(centre, box, strict=True))
    severity: Literal["mild", "moderate", "severe"] = (
        "mild" if grade < 0.34 else "moderate" if grade < 0.67 else "severe"
    )
    return PaintedFinding(
        NAMES[label],
        slug,
        (index[0], index[1], index[2]),
        float(size),
        index_box(tight_box(mask, box)),
        count,
        severity,
    )


def ball(
    scene: Scene, centre: NDArray, radii_mm: NDArray, rng: np.random.Generator, rough: float = 0.12
) -> tuple[Box, Float]:
    """Box and coverage (0..1, anti-aliased) of a slightly irregular ellipsoid about a voxel index."""
    r = np.asarray(radii_mm) / scene.spacing
    a = np.clip(np.floor(centre - r * 1.3 - 1), 0, scene.labels.shape).astype(int)
    b = np.clip(np.ceil(centre + r * 1.3 + 2), 0, scene.labels.shape).astype(int)
    box = (slice(int(a[0]), int(b[0])), slice(int(a[1]), int(b[1])), slice(int(a[2]), int(b[2])))
    fine = 3 if r.max() < 4 else 1
    offsets = (np.arange(fine) - (fine - 1) / 2) / fine
    axes = [
        ((np.arange(s.start, s.stop)[:, None] + offsets).ravel() - c) / q
        for s, c, q in zip(box, centre, r, strict=True)
    ]
    angle = rng.uniform(0, 6.3, 3)
    level = 1.0
    if rough and fine == 1:
        level = 1.0 + rough * (
            np.sin(2.3 * axes[0] + angle[0])[:, None, None]
            + np.sin(2.1 * axes[1] + angle[1])[None, :, None]
            + np.sin(2.2 * axes[2] + angle[2])
        )
    inside = (axes[0] ** 2)[:, None, None] + (axes[1] ** 2)[None, :, None] + (axes[2] ** 2)[None, None, :] <= level
    if fine == 1:
        return box, inside.astype(np.float32)
    n = [s.stop - s.start for s in box]
    return box, inside.reshape(n[0], fine, n[1], fine, n[2], fine).mean((1, 3, 5), dtype=np.float32)


def blend(scene: Scene, box: Box, cover: Float, value: float, sd: float, rng: np.random.Generator) -> None:
    hu = scene.image[box]
    lesion = np.float32(value) + np.float32(sd) * rng.standard_normal(hu.shape, dtype=np.float32)
    hu[...] = hu * (1 - cover) + lesion * cover


def organ_sites(
    scene: Scene, label: int, materials: tuple[Material, ...] | None = None, inset: int = 0
) -> NDArray[np.int64]:
    box = scene.organ_box(label, scene.spacing)
    mask = scene.labels[box] == label
    if materials is not None:
        mask &= np.isin(scene.tissue[box], materials)
    if inset:
        deep = ndi.binary_erosion(mask, iterations=inset)
        mask = deep if deep.any() else mask
    return np.argwhere(mask) + [s.start for s in box]


def relabel(
    scene: Scene, box: Box, cover: Float, label: int, rng: np.random.Generator, drop: float, other: int = 0
) -> None:
    """Segmenters leave some lesions out of the organ's mask, and take others in."""
    mask = cover > 0.5
    labels = scene.labels[box]
    if rng.random() < drop:
        labels[mask & (labels == label)] = other
    elif rng.random() < 0.7:
        labels[mask & (labels == 0)] = label


def lesions(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    *,
    sites: NDArray,
    diameter: tuple[float, float],
    hu: tuple[float, float],
    most: int,
    sd: float = 3.0,
    only: bool = True,
    drop: float = 0.25,
    other: int = 0,
    stretch: float = 0.15,
    avoid: tuple[Material, ...] = (),
) -> PaintedFinding | None:
    """Paint 1..most blobs at random sites; ``only`` keeps them inside the organ, ``avoid`` off other materials."""
    if len(sites) == 0:
        return None
    count = int(rng.integers(1, most + 1)) if rng.random() < 0.5 else 1
    best: tuple[float, NDArray[np.bool_], Box] | None = None
    value = float(rng.uniform(*hu))
    for _ in range(count):
        d = float(diameter[0] + (diameter[1] - diameter[0]) * rng.beta(1.2, 2.2))
        centre = sites[rng.integers(len(sites))] + rng.uniform(-0.5, 0.5, 3)
        box, cover = ball(scene, centre, d / 2 * rng.uniform(1 - stretch, 1 + stretch, 3), rng)
        if only:
            cover = cover * (scene.labels[box] == label)
        elif avoid:
            cover = cover * ~np.isin(scene.tissue[box], avoid)
        if cover.max() <= 0.3:
            continue
        blend(scene, box, cover, value + rng.normal(0, sd), sd, rng)
        if best is None or d > best[0]:
            best = (d, cover > min(0.5, float(cover.max()) * 0.7), box)
        scene.tissue[box][cover > 0.5] = Material.SOFT  # what is painted later in this organ leaves the lesion alone
        relabel(scene, box, cover, label, rng, drop, other)
    if best is None:
        return None
    grade = (best[0] - diameter[0]) / (diameter[1] - diameter[0])
    return finding_of(scene, label, slug, best[1], best[2], best[0], count, grade)


def grow(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    by: tuple[float, float],
    free: tuple[Material, ...],
    material: Material,
    whole: bool,
) -> PaintedFinding | None:
    box = scene.organ_box(label, by[1] + 3)
    organ = scene.organ_box(label)
    if whole and (organ[0].start == 0 or organ[0].stop == scene.labels.shape[0]):
        return None  # cut by the slab: its size cannot be judged
    mask = scene.labels[box] == label
    grade = float(rng.random())
    distance = ndi.distance_transform_edt(~mask, sampling=scene.spacing).astype(np.float32)
    reach = (by[0] + (by[1] - by[0]) * grade) * (1 + 0.2 * smooth_field(rng, mask.shape, 12.0))
    grown = (distance > 0) & (distance <= reach) & np.isin(scene.tissue[box], free)
    if material == Material.MYOCARDIUM:  # blood pools grow with the heart: each grows into its own wall
        pools = scene.tissue[box]
        for pool in (Material.BLOOD_LEFT, Material.BLOOD_RIGHT):
            near = ndi.binary_dilation(pools == pool, iterations=max(1, int(0.6 * by[0] / scene.spacing)))
            pools[near & (pools == Material.MYOCARDIUM)] = pool
    scene.tissue[box][grown] = material
    scene.labels[box][grown] = label
    whole_mask = mask | grown
    tight = tight_box(whole_mask, box)
    scene.boxes[label - 1] = tight
    return finding_of(
        scene, label, slug, whole_mask, box, max(s.stop - s.start for s in tight) * scene.spacing, 1, grade
    )
