"""Where in the matching organs an answer lies: a smooth map of similarity, and its peaks.

For a finding the value of a place is the score of `napari_ctvlp.ask.score` of an organ that looked like that place
everywhere, in logits; for any other text it is the cosine. Places are averaged with their neighbours (a Gaussian as
wide as a cell, normalised within the organ), because each was seen with its surroundings. Where the encoder judges
every place by the finding itself, its judgement is the value, as it is (averaging it made it worse, measured).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.query import parse_query
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.ask.types import Ranking
from napari_ctvlp.encoder.contract import Cells, Dense, FloatArray, Judged, ScanEmbedding
from napari_ctvlp.scan.types import OrganMasks

MATCH_SHARE = 0.5
"""An organ is looked into when its score is at least this share of the best one's."""
MOST_ORGANS = 8
MOST_VOXELS = 6_000_000
"""A larger map is drawn on every second (third, ...) voxel."""
MOST_PEAKS = 9
APART_MM = 15.0
"""Peaks lie at least this far from each other."""
NEAR_BEST = 0.5
"""A peak reaches at least this share of the way from an organ's median to its best place."""

Index = tuple[int, int, int]
Places = Cells | Judged


@dataclass(frozen=True)
class Peak:
    """A place that answers best in its surroundings: organ, voxel (I, P, L) in that organ, value."""

    organ: str
    index: Index
    value: float


@dataclass(frozen=True, eq=False)
class SimilarityMap:
    """Similarity inside the matching organs.

    Attributes
    ----------
    text : str
        The question.
    meaning : str
        What a value is, in a few words.
    organs : tuple of str
        Organs it was looked for in.
    values : (I, P, L) uint8
        0 outside of these organs, else 1 (``low``) to 255 (``high``).
    start : tuple of int
        Voxel (I, P, L) of the scan at which ``values`` begins.
    step : int
        Voxels of the scan from one value to the next.
    low, high : float
        Values at 1 and 255.
    peaks : tuple of Peak
        Best first.
    """

    text: str
    meaning: str
    organs: tuple[str, ...]
    values: NDArray[np.uint8]
    start: Index
    step: int
    low: float
    high: float
    peaks: tuple[Peak, ...]


def locate(
    embedding: ScanEmbedding,
    masks: OrganMasks,
    ranking: Ranking,
    spacing: Sequence[float],
    dictionary: Sequence[Abnormality] | None = None,
) -> SimilarityMap | None:
    """Where in the organs that answer a question the answer lies.

    Parameters
    ----------
    embedding : ScanEmbedding
        With dense embeddings; without there is no map.
    masks : OrganMasks
        What was embedded.
    ranking : Ranking
        The answer.
    spacing : sequence of float
        Voxel size in mm along I, P, L.
    dictionary : sequence of Abnormality, optional
        The built-in one by default.

    Returns
    -------
    SimilarityMap or None
        None where nothing matched or the encoder gives no dense embeddings.
    """
    best = ranking.best
    if best is None or embedding.dense is None:
        return None
    entries = {entry.key: entry for entry in (load_dictionary() if dictionary is None else dictionary)}
    organs = [m.organ for m in ranking.organs if m.score >= MATCH_SHARE * best.score and m.organ in masks.statistics]
    entry = entries.get(ranking.finding.abnormality) if ranking.finding is not None else None
    found: dict[str, tuple[Places, NDArray[np.float64]]] = {}
    asked = cache(partial(_asked, embedding, ranking.text))  # one text for all organs, and none where all are judged
    unjudged = [organ for organ in organs[:MOST_ORGANS] if entry is None or organ not in entry.organs]
    if len(unjudged) > 1 and (ready := getattr(embedding.dense, "ready", None)) is not None:
        ready(unjudged)
    for organ in organs[:MOST_ORGANS]:
        sought = entry if entry is not None and organ in entry.organs else None
        direction = asked if sought is None else partial(_contrast, embedding, organ, sought)
        seen, values = valued(embedding.dense, organ, sought, direction)
        if len(values):
            found[organ] = (seen, values)
    if not found:
        return None
    everything = np.concatenate([values for _, values in found.values()])
    low, high = float(np.percentile(everything, 5)), float(everything.max())
    if high - low < 1e-6:
        low = high - 1e-6
    start, stop, step = _frame(masks, list(found))
    drawn = _drawn(masks, found, start, stop, step, low, high)
    meaning = "similarity to the text"
    if entry is not None:
        known = any(entry.pair_key(organ) in embedding.encoder.card.abnormalities for organ in found)
        meaning = f"score for {entry.key.replace('_', ' ')}; above 0 speaks for it"
        meaning += "" if known else "; this encoder was not trained on it"
    peaks = _best_peaks(masks, found, spacing)
    return SimilarityMap(ranking.text, meaning, tuple(found), drawn, start, step, low, high, peaks)


def _asked(embedding: ScanEmbedding, text: str) -> FloatArray:
    """(d,) vector whose product with a place is its likeness to a text."""
    return np.asarray(embedding.encoder.encode_text([parse_query(text).core or text])[0], np.float32)


def _contrast(embedding: ScanEmbedding, organ: str, entry: Abnormality) -> FloatArray:
    """(d,) vector whose product with a place of an organ is its score for an abnormality."""
    positive, negative = entry.prompts(organ)
    bank = bank_of(embedding.encoder)
    difference = bank.space(positive).mean(0) - bank.space(negative).mean(0)
    return np.asarray(embedding.encoder.logit_scale * difference, np.float32)


def valued(
    dense: Dense, organ: str, entry: Abnormality | None, direction: Callable[[], FloatArray]
) -> tuple[Places, NDArray[np.float64]]:
    """Places of an organ and their values, in float64: the encoder's judgements where it judges by the finding, else
    products of embeddings with a direction, smoothed."""
    judge = getattr(dense, "judged", None)
    judged: Judged | None = None if judge is None or entry is None else judge(organ, entry.key)
    if judged is not None:
        return judged, judged.values.astype(np.float64)
    cells = dense.cells(organ)
    if not len(cells.places):
        return cells, np.zeros(0)
    return cells, smoothed(cells, (cells.vectors @ direction()).astype(np.float64))


def smoothed(cells: Places, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value averaged with those of the cells around it."""
    from scipy.spatial import cKDTree

    places = cells.places / cells.size
    distance, neighbour = cKDTree(places).query(places, k=min(27, len(places)), distance_upper_bound=1.8)
    distance, neighbour = np.atleast_2d(distance.T).T, np.atleast_2d(neighbour.T).T
    weight = np.where(np.isfinite(distance), np.exp(-0.5 * distance**2), 0.0)
    padded = np.append(values, 0.0)
    smoothed: NDArray[np.float64] = (weight * padded[neighbour]).sum(1) / weight.sum(1)
    return smoothed


def _frame(masks: OrganMasks, organs: Sequence[str]) -> tuple[Index, Index, int]:
    """The box around organs and the step at which it is small enough to draw."""
    boxes = np.array([masks.statistics[organ].box for organ in organs])
    low, high = boxes[:, :, 0].min(0), boxes[:, :, 1].max(0)
    step = 1
    while np.prod(np.ceil((high - low) / step)) > MOST_VOXELS:
        step += 1
    start, stop = (tuple(int(v) for v in end) for end in (low, high))
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2]), step


def _drawn(
    masks: OrganMasks,
    found: dict[str, tuple[Places, NDArray[np.float64]]],
    start: Index,
    stop: Index,
    step: int,
    low: float,
    high: float,
) -> NDArray[np.uint8]:
    """The map on the voxels of the frame, linear between cells."""
    labels = masks.labels[tuple(slice(a, b, step) for a, b in zip(start, stop, strict=True))]
    result = np.zeros(labels.shape, np.uint8)
    for organ, (cells, values) in found.items():
        stat = masks.statistics[organ]
        part, grid = [], []
        for (a, b), first in zip(stat.box, start, strict=True):
            part.append(slice(-(-(a - first) // step), -(-(b - first) // step)))
        inside = labels[tuple(part)] == stat.label
        for axis in range(3):
            grid.append(start[axis] + step * np.arange(part[axis].start, part[axis].stop))
        smooth = _interpolated(cells, values, grid)
        share = np.clip((smooth - low) / (high - low), 0, 1)
        result[tuple(part)][inside] = (1.5 + 254 * share[inside]).astype(np.uint8)
    return result


def _interpolated(cells: Places, values: NDArray[np.float64], grid: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Values at voxels, linear between the cells; places without a cell take the nearest one's value."""
    from scipy.ndimage import distance_transform_edt

    origin = cells.places.min(0)
    index = np.rint((cells.places - origin) / cells.size).astype(np.int64)
    shape = tuple(int(n) + 1 for n in index.max(0))
    dense = np.zeros(shape, np.float32)
    empty = np.ones(shape, bool)
    dense[tuple(index.T)] = values
    empty[tuple(index.T)] = False
    if empty.any():
        nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
        dense = dense[tuple(nearest)]
    # one axis at a time: a product with a narrow matrix
    for axis, (voxels, first, size, n) in enumerate(zip(grid, origin, cells.size, shape, strict=True)):
        at = np.clip((voxels - first) / size, 0, n - 1)
        below = np.minimum(at.astype(np.int64), max(0, n - 2))
        weights = np.zeros((len(voxels), n), np.float32)
        rows = np.arange(len(voxels))
        weights[rows, below] = 1 - (at - below)
        weights[rows, np.minimum(below + 1, n - 1)] += at - below
        dense = np.moveaxis(np.tensordot(weights, dense, (1, axis)), 0, axis)
    return dense


def peaks_of(
    masks: OrganMasks, organ: str, cells: Places, values: NDArray[np.float64], spacing: Sequence[float]
) -> list[Peak]:
    """The best places of an organ, apart from each other."""
    taken = _apart(cells, values, spacing)
    return [_peak(masks, organ, cells, values, place) for place in taken]


def _best_peaks(
    masks: OrganMasks, found: dict[str, tuple[Places, NDArray[np.float64]]], spacing: Sequence[float]
) -> tuple[Peak, ...]:
    """The best of all organs; only theirs are looked for in the masks, which takes as long as finding them."""
    places = [
        (organ, cells, values, place)
        for organ, (cells, values) in found.items()
        for place in _apart(cells, values, spacing)
    ]
    places.sort(key=lambda each: -each[2][each[3]])
    return tuple(_peak(masks, *each) for each in places[:MOST_PEAKS])


def _peak(masks: OrganMasks, organ: str, cells: Places, values: NDArray[np.float64], place: int) -> Peak:
    label = masks.statistics[organ].label
    return Peak(organ, nearest_voxel(masks, label, cells.places[place], cells.size), float(values[place]))


def _apart(cells: Places, values: NDArray[np.float64], spacing: Sequence[float]) -> list[int]:
    """Which places are an organ's best, best first."""
    least = np.median(values) + NEAR_BEST * (values.max() - np.median(values))
    millimetres = cells.places * np.asarray(spacing)
    taken: list[int] = []
    for place in np.argsort(-values, kind="stable"):
        if values[place] < least or len(taken) == MOST_PEAKS:
            break
        if all(np.linalg.norm(millimetres[place] - millimetres[other]) >= APART_MM for other in taken):
            taken.append(int(place))
    return taken


def nearest_voxel(masks: OrganMasks, label: int, place: NDArray[np.float64], size: NDArray[np.float64]) -> Index:
    """The voxel of the organ nearest to a place, looked for within a cell around it."""
    middle = np.rint(place).astype(int)
    reach = np.ceil(size).astype(int) + 1
    low = np.maximum(middle - reach, 0)
    high = np.minimum(middle + reach + 1, masks.labels.shape)
    points = np.argwhere(masks.labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] == label) + low
    if not len(points):
        i, p, left = (int(v) for v in np.clip(middle, 0, np.array(masks.labels.shape) - 1))
        return (i, p, left)
    i, p, left = (int(v) for v in points[((points - place) ** 2).sum(1).argmin()])
    return (i, p, left)
