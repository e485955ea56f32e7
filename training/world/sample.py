"""A synthetic labelled scan as a pure function of its seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi

from training.world import physics
from training.world.abnormalities import ABNORMALITIES, PaintedFinding, Scene, plan
from training.world.body import Body, make_body
from training.world.materials import BONE, ID, Material
from training.world.shapes import rotation

_BANK_KEY, _SAMPLE_KEY = 7919, 104729
_DARK_URINE = {"kidney_stone", "hydronephrosis", "bladder_stone"}


@dataclass(frozen=True, eq=False)
class WorldSample:
    """A synthetic scan with its truth.

    Attributes
    ----------
    hu : (I, P, L) int16
        Hounsfield units; -1024 outside a round field of view.
    labels : (I, P, L) uint8
        TotalSegmentator v2 ids.
    spacing : float
        Isotropic, mm.
    findings : tuple of PaintedFinding
        What was painted and is inside the field of view.
    phase : str
        native, arterial, portal or delayed.
    sex : str
        female or male.
    seed : int
        What it was made from.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing: float
    findings: tuple[PaintedFinding, ...]
    phase: physics.Phase
    sex: Literal["female", "male"]
    seed: int


@lru_cache(maxsize=96)
def bank_body(index: int, spacing: float) -> Body:
    """Body number ``index``, kept in memory (about 7 MB at 3 mm) for the next sample."""
    return make_body(np.random.default_rng([_BANK_KEY, index]), spacing)


def make_sample(
    seed: int,
    *,
    spacing: float = 3.0,
    height_mm: tuple[float, float] = (180, 420),
    body_bank: int | None = None,
    body: int | None = None,
    abnormal: float = 0.4,
) -> WorldSample:
    """Make the scan of a seed; the same arguments give the same bits.

    Parameters
    ----------
    seed : int
        Not negative.
    spacing : float
        Isotropic voxel size in mm.
    height_mm : (float, float)
        Range of the slab's height along I; one sample in eight shows the whole torso where the range allows 420 mm or
        more.
    body_bank : int, optional
        Use body number ``seed % body_bank`` (kept in memory) instead of a new one; what is done to it differs by seed.
    body : int, optional
        Use exactly this body of the bank (kept in memory), so that splits of a dataset can keep their bodies apart.
    abnormal : float
        Share of organs that are made abnormal, where an abnormality is known for them.
    """
    rng = np.random.default_rng([_SAMPLE_KEY, seed])
    if body is None and body_bank:
        body = seed % body_bank
    anatomy = (
        make_body(np.random.default_rng([_BANK_KEY + 1, seed]), spacing) if body is None else bank_body(body, spacing)
    )
    labels, tissue = _deformed(anatomy, height_mm, rng)
    boxes = ndi.find_objects(labels, max_label=255)
    present = {k + 1 for k, b in enumerate(boxes) if b is not None}
    chosen = plan(present, rng, abnormal)
    contrast = physics.draw_contrast(rng, excretion=not any(slug in _DARK_URINE for slug, _ in chosen))
    scene = Scene(labels, tissue, spacing, contrast, boxes)
    findings = _paint(scene, chosen, rng, shapes=True)
    physics.fill_bowel(tissue, labels, boxes, rng)
    scene.hu = physics.render(tissue, labels, contrast, rng)
    if contrast.excretion:
        physics.layer_urine(scene.hu, tissue, boxes[ID["urinary_bladder"] - 1], rng)
    findings += _paint(scene, chosen, rng, shapes=False)
    _misplace(labels, tissue, rng)
    hu = _imaged(scene, rng)
    kept = tuple(f for f in findings if hu[f.centre] > -1024)
    return WorldSample(hu, labels, spacing, kept, contrast.phase, anatomy.habitus.sex, seed)


def _paint(
    scene: Scene, chosen: list[tuple[str, int]], rng: np.random.Generator, *, shapes: bool
) -> list[PaintedFinding]:
    out = []
    for slug, label in chosen:
        kind = ABNORMALITIES[slug]
        if kind.shapes == shapes:
            # each painter has its own stream, so that one that gives up does not change the others
            finding = kind.paint(scene, label, np.random.default_rng(rng.integers(2**63)))
            if finding is not None:
                out.append(finding)
    return out


def _imaged(scene: Scene, rng: np.random.Generator) -> NDArray[np.int16]:
    hu, spacing = scene.image, scene.spacing
    if rng.random() < 0.85:
        physics.add_table(scene.tissue, hu, spacing, rng)
    hu = physics.blur(hu, spacing, rng)
    for box, metal in scene.metal:
        physics.add_streaks(hu, metal, box, spacing, rng)
    if rng.random() < 0.2:
        physics.add_rows(hu, spacing, rng)
    physics.add_noise(hu, spacing, rng)
    np.rint(hu, out=hu)
    out = np.clip(hu, -1024, 3071, out=hu).astype(np.int16)
    field = physics.round_field(out.shape, spacing, rng, cut=bool(rng.random() < 0.15))
    if field is not None:
        out[:, ~field] = -1024
        scene.labels[:, ~field] = 0
    return out


def _misplace(labels: NDArray[np.uint8], tissue: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Shift organ borders by one voxel in places: no segmenter is exact, and a mask's rim holds its neighbours' HU.

    Bone keeps its label: segmenters do not take it for a vessel or a muscle.
    """
    hard = np.zeros(256, bool)
    hard[list(BONE)] = True
    bone = np.flatnonzero(hard[tissue].ravel())
    kept = labels.ravel()[bone]
    share = rng.uniform(0.0, 0.28)
    cell = rng.uniform(3.0, 7.0)
    for axis in rng.permutation(3)[:2]:
        field = np.moveaxis(physics.smooth_field(rng, labels.shape, cell), axis, 0)
        moved = np.moveaxis(labels, axis, 0)
        before = moved.copy()
        limit = float(np.quantile(np.abs(field[::4, ::4, ::4]), 1 - share))
        np.copyto(moved[1:], before[:-1], where=field[1:] > limit)
        np.copyto(moved[:-1], before[1:], where=field[:-1] < -limit)
    labels.ravel()[bone] = kept


def _deformed(
    body: Body, height_mm: tuple[float, float], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels and tissue of a random slab of the body, rotated, scaled and bent, by one nearest-neighbour lookup."""
    spacing = body.spacing
    source = np.array(body.labels.shape, float)
    scale = rng.uniform(0.9, 1.11) * rng.uniform(0.945, 1.063, 3)
    turn = rng.uniform(-8, 8, 3) * rng.uniform(0, 1)
    full = float(source[0] * spacing * scale[0])
    height = rng.uniform(*height_mm)
    if height_mm[1] >= 420 and rng.random() < 0.125:
        height = full * rng.uniform(0.8, 1.0)
    n = int(np.clip(height / spacing, 8, source[0] * scale[0]))
    # the middle of the slab, in voxels from the middle of the deformed body
    middle = rng.uniform(-0.5, 0.5) * max(0.0, source[0] * scale[0] - n)
    pad = rng.uniform(0, 30, 2) / spacing
    shape = (n, int(source[1] * scale[1] + 2 + pad[0]), int(source[2] * scale[2] + pad[1]))
    crop = rng.random()
    if crop < 0.08:
        shape = (n, shape[1], int(shape[2] * rng.uniform(0.7, 0.92)))
    elif crop < 0.13:
        shape = (n, int(shape[1] * rng.uniform(0.78, 0.93)), shape[2])
    away = np.array([0.0, rng.normal(0, 6) / spacing, rng.normal(0, 8) / spacing])
    # output voxel (centred) -> body voxel (centred): x -> R x / scale, then to the -1..1 of grid_sample (last axis
    # first); the map is made at knots and interpolated once, which is exact for its affine part
    matrix = (rotation(turn) / scale[:, None]) * (2 / source)[:, None]
    offset = np.array([middle / scale[0], 0.0, 0.0]) * 2 / source + away * 2 / source
    knots = [max(3, int(np.ceil(k * spacing / 34.0)) + 2) for k in shape]
    bend = _bend(knots, 85.0 / 34.0, rng.uniform(2.0, 8.0), rng) + _bend(knots, 1.0, rng.uniform(0.4, 2.0), rng)
    axes = [np.linspace(-(k - 1) / 2, (k - 1) / 2, m) for k, m in zip(shape, knots, strict=True)]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    coarse = (
        np.einsum("kj,jabc->kabc", matrix, place)
        + offset[:, None, None, None]
        + bend * (2 / source / spacing)[:, None, None, None]
    )
    fine = _upsampled(torch.from_numpy(coarse[::-1].astype(np.float32)), shape)
    grid = fine.permute(1, 2, 3, 0)
    both = body.labels.astype(np.float32) * 64 + body.tissue
    picked = torch.nn.functional.grid_sample(
        torch.from_numpy(both)[None, None], grid[None], mode="nearest", padding_mode="zeros", align_corners=False
    )
    packed = picked[0, 0].numpy().astype(np.uint16)
    return (packed >> 6).astype(np.uint8), (packed & 63).astype(np.uint8)


def _bend(knots: list[int], cell: float, amplitude_mm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random displacement (3, knots) in mm, correlated over ``cell`` knots."""
    few = [max(3, int(np.ceil(k / cell)) + 1) for k in knots]
    field = torch.from_numpy(rng.standard_normal((3, *few), dtype=np.float32))
    return _upsampled(field, (knots[0], knots[1], knots[2])).numpy().astype(float) * amplitude_mm


def _upsampled(field: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.nn.functional.interpolate(field[None], size=shape, mode="trilinear", align_corners=True)[0]


assert max(Material) < 64, "materials are packed into six bits"
