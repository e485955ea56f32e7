"""Painting shapes on a voxel grid in nominal millimetres: blobs, tubes and sheets, each evaluated in its own box only.

Nominal coordinates are (i, p, l) in mm from the centre of the third lumbar vertebra: i grows to inferior, p to
posterior, l to the patient's left. A canvas maps them to voxels with one scale per axis, so that a tall or broad body
needs no new shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.world.materials import N_MATERIALS, Material

Box = tuple[slice, slice, slice]
Bool = NDArray[np.bool_]
Float = NDArray[np.float32]

_SMALL = 250
"""Voxels of a ball's box below which balls are stamped in batches."""


@dataclass(frozen=True)
class Region:
    """A boolean mask inside a box of the canvas."""

    box: Box
    mask: Bool

    def minus(self, other: Region) -> Region:
        """This region without the voxels of ``other`` (another box of the same canvas)."""
        mask = self.mask.copy()
        start = [max(a.start, b.start) for a, b in zip(self.box, other.box, strict=True)]
        stop = [min(a.stop, b.stop) for a, b in zip(self.box, other.box, strict=True)]
        if all(a < b for a, b in zip(start, stop, strict=True)):
            here = tuple(slice(a - s.start, b - s.start) for a, b, s in zip(start, stop, self.box, strict=True))
            there = tuple(slice(a - s.start, b - s.start) for a, b, s in zip(start, stop, other.box, strict=True))
            mask[here] &= ~other.mask[there]
        return Region(self.box, mask)


class Canvas:
    """Label and material volumes of a body under construction.

    Parameters
    ----------
    low, high : (3,) float
        Nominal extent in mm along i, p, l.
    scale : (3,) float
        Real mm per nominal mm along each axis.
    spacing : float
        Voxel size in mm.

    Attributes
    ----------
    labels, tissue : (I, P, L) uint8
        Organ ids of TotalSegmentator v2, and `Material` ids.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float], scale: Sequence[float], spacing: float) -> None:
        self.low = np.asarray(low, float)
        self.step = spacing / np.asarray(scale, float)
        shape = np.ceil((np.asarray(high, float) - self.low) / self.step).astype(int)
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.spacing = spacing
        self.labels = np.zeros(self.shape, np.uint8)
        self.tissue = np.zeros(self.shape, np.uint8)
        self.axes = [
            (self.low[k] + self.step[k] * (np.arange(n) + 0.5)).astype(np.float32) for k, n in enumerate(shape)
        ]

    def box(self, low: ArrayLike, high: ArrayLike) -> Box:
        """Voxel box that covers nominal ``low``..``high``, clipped to the canvas (may be empty)."""
        a = np.clip(np.floor((np.asarray(low) - self.low) / self.step - 0.5), 0, self.shape).astype(int)
        b = np.clip(np.ceil((np.asarray(high) - self.low) / self.step + 0.5), 0, self.shape).astype(int)
        b = np.maximum(a, b)
        return (slice(int(a[0]), int(b[0])), slice(int(a[1]), int(b[1])), slice(int(a[2]), int(b[2])))

    def grid(self, box: Box) -> tuple[Float, Float, Float]:
        """Open coordinate arrays (i, p, l) of a box."""
        i, p, x = (axis[s] for axis, s in zip(self.axes, box, strict=True))
        return i[:, None, None], p[None, :, None], x[None, None, :]

    def blob(
        self,
        centre: ArrayLike,
        radii: ArrayLike,
        *,
        turn: ArrayLike = (0.0, 0.0, 0.0),
        power: float = 2.0,
        wobble: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> Region:
        """A superellipsoid, turned by Euler angles in degrees about (i, p, l), its surface wobbling by a fraction."""
        centre, radii = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
        reach = float(radii.max()) * (1.05 + wobble) if np.any(turn) else radii * (1.05 + wobble)
        box = self.box(centre - reach, centre + reach)
        i, p, x = self.grid(box)
        d = (i - centre[0], p - centre[1], x - centre[2])
        if np.any(turn):
            m = rotation(turn).astype(np.float32)
            d = tuple(m[0, k] * d[0] + m[1, k] * d[1] + m[2, k] * d[2] for k in range(3))
        if power == 2.0:
            f = sum((c / r) ** 2 for c, r in zip(d, radii, strict=True))
        else:
            f = sum(np.abs(c / r) ** power for c, r in zip(d, radii, strict=True))
        level: float | Float = 1.0
        if wobble and rng is not None:
            level = 1.0 + wobble * waves(rng, (i, p, x), float(radii.mean()) * 2.5)
        return Region(box, np.broadcast_to(f <= level, tuple(s.stop - s.start for s in box)))

    def tube(self, points: ArrayLike, radii: ArrayLike, *, flat: ArrayLike | None = None, grow: float = 0.0) -> Region:
        """A tube along a smooth curve through ``points`` (n, 3) with radii (n,), optionally flattened per axis by
        ``flat``."""
        return self.stamps(*curve(points, radii, float(self.step.min())), flat=flat, grow=grow)

    def stamps(self, points: NDArray, radii: NDArray, *, flat: ArrayLike | None = None, grow: float = 0.0) -> Region:
        """The union of balls (or ellipsoids, by ``flat``) of ``radii + grow`` about ``points``."""
        shape = np.ones(3) if flat is None else np.asarray(flat, float)
        reach = np.maximum((radii + grow)[:, None] * shape, self.step * 0.51)
        keep = np.all((points + reach > self.low) & (points - reach < self.low + self.step * self.shape), axis=1)
        points, reach = points[keep], reach[keep]
        if len(points) == 0:
            return Region((slice(0, 0),) * 3, np.zeros((0, 0, 0), bool))
        box = self.box((points - reach).min(0), (points + reach).max(0))
        mask = np.zeros(tuple(s.stop - s.start for s in box), bool)
        axes = [axis[s] for axis, s in zip(self.axes, box, strict=True)]
        start = np.array([axis[0] for axis in axes])
        first = np.maximum(np.ceil((points - reach - start) / self.step), 0).astype(int)
        last = np.minimum(np.floor((points + reach - start) / self.step).astype(int) + 1, mask.shape)
        small = np.prod(np.maximum(last - first, 0), axis=1) <= _SMALL
        _stamp_batch(mask, axes, points[small], reach[small], first[small], last[small])
        large = ~small
        for c, r, a, b in zip(points[large], reach[large], first[large], last[large], strict=True):
            u, v, w = (((axes[k][a[k] : b[k]] - c[k]) / r[k]) ** 2 for k in range(3))
            mask[a[0] : b[0], a[1] : b[1], a[2] : b[2]] |= u[:, None, None] + (v[:, None] + w) <= 1.0
        return Region(box, mask)

    def paint(
        self,
        region: Region,
        material: Material,
        label: int | None = None,
        *,
        over: Iterable[Material] | None = None,
        keep: Iterable[Material] | None = None,
        inside: int | None = None,
    ) -> Region:
        """Set material (and label) in a region; only over the materials ``over``, never over ``keep``, or only inside
        a label.

        Returns the region that was in fact painted.
        """
        tissue, labels = self.tissue[region.box], self.labels[region.box]
        mask = region.mask
        if over is not None:
            allowed = np.zeros(N_MATERIALS, bool)
            allowed[[int(m) for m in over]] = True
            mask = mask & allowed[tissue]
        if keep is not None:
            kept = np.zeros(N_MATERIALS, bool)
            kept[[int(m) for m in keep]] = True
            mask = mask & ~kept[tissue]
        if inside is not None:
            mask = mask & (labels == inside)
        tissue[mask] = int(material)
        if label is not None:
            labels[mask] = label
        return Region(region.box, mask)


def _stamp_batch(
    mask: Bool, axes: Sequence[Float], points: NDArray, reach: NDArray, first: NDArray, last: NDArray
) -> None:
    """Many small ellipsoids at once: a call of NumPy for each costs more than the voxels themselves."""
    for start in range(0, len(points), 2048):
        c, r, a, b = (v[start : start + 2048] for v in (points, reach, first, last))
        rows, terms = [], []
        for k in range(3):
            row = a[:, k, None] + np.arange(max(1, int((b[:, k] - a[:, k]).max())))
            term = ((axes[k][np.minimum(row, len(axes[k]) - 1)] - c[:, k, None]) / r[:, k, None]) ** 2
            rows.append(row)
            terms.append(np.where(row < b[:, k, None], term, np.inf))
        u, v, w = terms
        n, i, p, x = np.nonzero(u[:, :, None, None] + (v[:, None, :, None] + w[:, None, None, :]) <= 1.0)
        mask[rows[0][n, i], rows[1][n, p], rows[2][n, x]] = True


def rotation(turn: ArrayLike) -> NDArray[np.float64]:
    """Rotation matrix of Euler angles in degrees about i, p, l, applied in this order."""
    a, b, c = np.deg2rad(np.asarray(turn, float))
    r0 = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    r1 = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    r2 = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return r2 @ r1 @ r0


def waves(rng: np.random.Generator, grid: tuple[Float, Float, Float], length: float, n: int = 3) -> Float:
    """A smooth random function of the grid, about -1..1: a sum of plane waves of about ``length`` mm.

    sin(a + b) = sin a cos b + cos a sin b turns the sum over a box into one matrix product.
    """
    i, p, x = grid
    left, right = [], []
    for _ in range(n):
        k = rng.normal(size=3)
        k *= 2 * np.pi / (length * rng.uniform(0.7, 1.5)) / np.linalg.norm(k)
        k32, phase = k.astype(np.float32), np.float32(rng.uniform(0, 2 * np.pi))
        a, b = k32[0] * i + k32[1] * p + phase, k32[2] * x.ravel()
        left += [np.sin(a).ravel(), np.cos(a).ravel()]
        right += [np.cos(b), np.sin(b)]
    total = np.stack(left, 1) @ np.stack(right)
    return (total / np.float32(n)).reshape(i.shape[0], p.shape[1], x.shape[2])


def spline(t: NDArray, y: NDArray, s: NDArray) -> NDArray[np.float64]:
    """The natural cubic spline through (t, y), ``y`` (n, d) with n > 2, at ``s`` within ``t``: (len(s), d)."""
    h, n = np.diff(t), len(t)
    slope = np.diff(y, axis=0) / h[:, None]
    matrix = np.diag(2 * (h[:-1] + h[1:])) + np.diag(h[1:-1], 1) + np.diag(h[1:-1], -1)
    bend = np.zeros_like(y)
    bend[1 : n - 1] = np.linalg.solve(matrix, 6 * np.diff(slope, axis=0))
    k = np.clip(np.searchsorted(t, s, side="right") - 1, 0, n - 2)
    u, v, w = (s - t[k])[:, None], (t[k + 1] - s)[:, None], h[k][:, None]
    cubic = (bend[k] * v**3 + bend[k + 1] * u**3) / (6 * w)
    return cubic + (y[k] / w - bend[k] * w / 6) * v + (y[k + 1] / w - bend[k + 1] * w / 6) * u


def curve(points: ArrayLike, radii: ArrayLike, step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and radii of a smooth curve sampled densely enough for its balls to merge."""
    p, r = np.asarray(points, float), np.asarray(radii, float)
    r = np.broadcast_to(r, (len(p),))
    t = arc_length(p)
    if t[-1] <= 0:
        return p[:1], r[:1]
    gap = max(step * 0.6, float(r.min()) * 0.35)
    s = np.linspace(0, t[-1], max(2, int(np.ceil(t[-1] / gap)) + 1))
    line = spline(t, p, s) if len(p) > 2 else np.stack([np.interp(s, t, c) for c in p.T], 1)
    return line, np.interp(s, t, r)


def sheet(top: ArrayLike, bottom: ArrayLike, step: float) -> NDArray[np.float64]:
    """Points (n, 3) of the ruled surface between two smooth curves, about ``step`` mm apart."""
    a, b = np.asarray(top, float), np.asarray(bottom, float)
    length = np.linalg.norm(np.diff(a, axis=0), axis=1).sum()
    u = np.linspace(0, 1, max(2, int(length / step) + 1))
    t = np.linspace(0, 1, len(a))
    ca, cb = spline(t, a, u), spline(np.linspace(0, 1, len(b)), b, u)
    v = np.linspace(0, 1, max(2, int(np.linalg.norm(cb - ca, axis=1).max() / step) + 1))[:, None, None]
    return (ca * (1 - v) + cb * v).reshape(-1, 3)


def arc_length(line: NDArray) -> NDArray[np.float64]:
    """Distance in mm along a polyline (n, 3) from its first point."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


def mirrored(points: ArrayLike, side: int) -> NDArray[np.float64]:
    """Points given for the left (+1), moved to ``side`` (-1 is right)."""
    p = np.array(points, float)
    p[..., 2] *= side
    return p
