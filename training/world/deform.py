"""A scan's view of a body: which slab of it, turned, scaled and bent, by one lookup a voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.bodies.body import Body
from training.world.bodies.shapes import rotation
from training.world.imaging.fields import upsampled
from training.world.materials import ID, Material

Shape = tuple[int, int, int]

# the first and the last organ that a scan shows, mm beyond their ends, and how often such scans are drawn
REGIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[float, float], float]] = {
    "head": (("skull",), ("skull", "vertebrae_C3"), (10, 10), 0.04),
    "neck": (("vertebrae_C1",), ("vertebrae_T4",), (40, 10), 0.05),
    "chest": (("vertebrae_T1",), ("vertebrae_L1", "vertebrae_T12"), (30, 20), 0.2),
    "abdomen": (("vertebrae_T9",), ("vertebrae_L5",), (10, 20), 0.15),
    "abdomen and pelvis": (("vertebrae_T9",), ("hip_left",), (10, 60), 0.2),
    "pelvis": (("vertebrae_L4",), ("hip_left",), (0, 110), 0.08),
    "trunk": (("vertebrae_T1",), ("hip_left",), (50, 40), 0.12),
    "thighs": (("femur_left",), ("femur_left",), (30, 20), 0.03),
    "whole": ((), (), (0, 0), 0.03),
}
SLAB = 0.1
"""Share of scans that are a slab of a few centimetres anywhere in the trunk."""


@dataclass(frozen=True)
class View:
    """What part of a body a scan shows: ``first`` .. ``last`` rows of the body."""

    region: str
    first: float
    last: float


def draw_view(body: Body, rng: np.random.Generator, region: str | None = None) -> View:
    """Draw the region of a scan, or the rows of a given one; a body without its landmarks is shown whole."""
    names, rates = list(REGIONS), np.array([r[3] for r in REGIONS.values()])
    drawn = str(rng.choice(names, p=rates / rates.sum()))
    name = region or drawn
    rows = _rows(body, name)
    jitter = rng.uniform(-1, 1, 2) * 15 / body.spacing
    if rows is None:
        return View("whole", 0, body.labels.shape[0])
    first, last = rows[0] + jitter[0], rows[1] + jitter[1]
    if region is None and rng.random() < SLAB:
        height = rng.uniform(30, 160) / body.spacing
        trunk = _rows(body, "trunk") or rows
        middle = rng.uniform(trunk[0], trunk[1])
        return View("slab", middle - height / 2, middle + height / 2)
    return View(name, max(0.0, first), min(float(body.labels.shape[0]), last))


def _rows(body: Body, region: str) -> tuple[float, float] | None:
    tops, ends, beyond, _ = REGIONS[region]
    if not tops:
        return 0.0, float(body.labels.shape[0])
    first = next((_extent(body, o)[0] for o in tops if _extent(body, o)), None)
    last = next((_extent(body, o)[1] for o in ends if _extent(body, o)), None)
    if first is None or last is None or last <= first:
        return None
    return first - beyond[0] / body.spacing, last + beyond[1] / body.spacing


def _extent(body: Body, organ: str) -> tuple[int, ...]:
    rows = np.flatnonzero((body.labels == ID[organ]).any((1, 2)))
    return (int(rows[0]), int(rows[-1]) + 1) if len(rows) else ()


def take(
    body: Body,
    rng: np.random.Generator,
    *,
    shape: Shape | None = None,
    region: str | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Labels and tissue (I, P, L) uint8 of a random view of a body, rotated, scaled and bent.

    Parameters
    ----------
    body : Body
        At the spacing of the scan.
    shape : (int, int, int), optional
        Exactly these voxels, centred on the region; by default as large as the region and the body's outline ask.
    region : str, optional
        One of ``REGIONS``; drawn by default.
    """
    spacing = body.spacing
    view = draw_view(body, rng, region)
    scale = rng.uniform(0.9, 1.11) * rng.uniform(0.945, 1.063, 3)
    turn = rng.uniform(-8, 8, 3) * rng.uniform(0, 1)
    low, high = _outline(body, view)
    middle = np.array([(view.first + view.last) / 2, *((low + high) / 2)])
    middle[1:] += rng.normal(0, (6, 8)) / spacing
    pad = rng.uniform(0, 30, 2) / spacing
    roll, part = rng.random(), rng.uniform(0.72, 0.93)
    size = (
        max(8, round((view.last - view.first) * scale[0])),
        max(16, round((high[0] - low[0]) * scale[1] + 2 + pad[0])),
        max(16, round((high[1] - low[1]) * scale[2] + pad[1])),
    )
    if roll < 0.08:
        size = (size[0], size[1], int(size[2] * part))
    elif roll < 0.13:
        size = (size[0], int(size[1] * part), size[2])
    return _sampled(body, shape or size, middle, rotation(turn) / scale[:, None], rng, device)


def _outline(body: Body, view: View) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns that hold the body in a view, (p, l) each."""
    step = max(1, int((view.last - view.first) // 24))
    rows = slice(max(0, int(view.first)), int(np.ceil(view.last)), step)
    solid = (body.tissue[rows] != Material.AIR).any(0)
    if view.region == "head":  # arms beside the head are kept out of its scan
        reach = int(25 / body.spacing)
        skull = np.flatnonzero((body.labels[rows] == ID["skull"]).any((0, 1)))
        solid[:, : max(0, skull[0] - reach)] = solid[:, skull[-1] + reach :] = False
    p, x = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    if len(p) == 0:
        return np.zeros(2), np.array(body.labels.shape[1:], float)
    return np.array([p[0], x[0]], float), np.array([p[-1] + 1, x[-1] + 1], float)


def _sampled(
    body: Body,
    shape: Shape,
    middle: NDArray[np.float64],
    matrix: NDArray[np.float64],
    rng: np.random.Generator,
    device: torch.device | str,
) -> tuple[Tensor, Tensor]:
    """Nearest neighbours: voxel x of the scan, from its middle, shows ``matrix`` x + ``middle`` + bend of the body.

    The map is made at knots 34 mm apart and interpolated once, which is exact for its affine part.
    """
    spacing = body.spacing
    knots = [max(3, int(np.ceil(k * spacing / 34.0)) + 2) for k in shape]
    bend = _bend(knots, 85.0 / 34.0, rng.uniform(2.0, 8.0), rng) + _bend(knots, 1.0, rng.uniform(0.4, 2.0), rng)
    axes = [np.linspace(-(k - 1) / 2, (k - 1) / 2, m) for k, m in zip(shape, knots, strict=True)]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    coarse = np.einsum("kj,jabc->kabc", matrix, place) + bend / spacing + (middle - 0.5)[:, None, None, None]
    first = int(np.clip(np.floor(coarse[0].min()), 0, body.labels.shape[0] - 1))
    last = int(np.clip(np.ceil(coarse[0].max()) + 1, first + 1, body.labels.shape[0]))
    coarse[0] -= first
    # a rim of nothing around the body, where places outside of it are moved to
    slab = torch.zeros([last - first + 2, *(n + 2 for n in body.labels.shape[1:])], dtype=torch.int16, device=device)
    inner = slab[1:-1, 1:-1, 1:-1]
    inner.copy_(torch.from_numpy(body.labels[first:last]).to(device)).mul_(64)
    inner.add_(torch.from_numpy(body.tissue[first:last]).to(device))
    n = slab.shape
    index = torch.zeros(shape, dtype=torch.int32, device=device)
    for axis, stride in enumerate((n[1] * n[2], n[2], 1)):
        # one and a half: for the rim, and so that cutting off rounds
        knots_here = torch.from_numpy((coarse[axis] + 1.5).astype(np.float32)).to(device)
        row = upsampled(knots_here, shape).clamp_(0, n[axis] - 1).to(torch.int32)
        index.add_(row, alpha=stride)
    packed = slab.flatten().index_select(0, index.flatten()).view(shape)
    tissue = packed.to(torch.uint8).bitwise_and_(63)
    return packed.bitwise_right_shift_(6).to(torch.uint8), tissue


def _bend(knots: list[int], cell: float, amplitude_mm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random displacement (3, knots) in mm, correlated over ``cell`` knots."""
    few = [max(3, int(np.ceil(k / cell)) + 1) for k in knots]
    field = torch.from_numpy(rng.standard_normal((3, *few), dtype=np.float32))
    return np.stack([upsampled(f, knots).numpy() for f in field]).astype(float) * amplitude_mm


assert max(Material) < 64, "materials are packed into six bits"
