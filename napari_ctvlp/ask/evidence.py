"""What a score rests on: the regions and the sentences behind it, and what becomes of it when something is changed.

A score that a finding makes falls when the region where it lies is made neutral, stays when as much is made neutral
elsewhere, and does not hang on the last millimetres of the mask. Each change is encoded as a scan of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.dictionary import WHOLE_SCAN, Abnormality
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.ask.locate import Peak, Places, nearest_voxel, peaks_of, valued
from napari_ctvlp.ask.score import NOT_IN_MASKS, score_pairs
from napari_ctvlp.ask.sentences import Sentence, sentences_of
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import Cancelled, FloatArray, Progress, ScanEmbedding
from napari_ctvlp.scan import changed
from napari_ctvlp.scan.types import OrganMasks, Scan

Values = NDArray[np.float64]
Rate = Callable[[ScanEmbedding], AbnormalityScore]

REACH_MM = 18.0
"""What is erased goes on so far beyond a region where the same stands out."""
RADIUS_MM = 9.0
"""Of a region: half of the 18 mm that the native encoder looks at around a place."""
MOST_REGIONS = 3
RESIZE_MM = 3.0
"""About what two people, or two programs, differ by when they draw an organ."""
MOST_LOW = 200
"""Weak places per organ among which one apart from all regions is looked for."""
GONE = "N/A: nothing is left of the mask"
NO_PLACES = "This encoder gives no embeddings of places, so that no regions can be named."


@dataclass(frozen=True)
class Evidence:
    """What a score rests on.

    Attributes
    ----------
    score : AbnormalityScore
    entry : Abnormality or None
        Of the dictionary; None of a taught finding.
    organs : tuple of str
        The organs of the masks that were looked at: one, those that the encoder sees as one, or all of the entry.
    regions : tuple of Peak
        Where the score comes from, best first; the value is the encoder's judgement of that place, else the score of an
        organ that looked like that everywhere, in logits.
    weakest : Peak or None
        The place that says least, apart from all regions.
    sentences : tuple of Sentence
        Of a taught finding its examples.
    notes : tuple of str
        What is missing, and why.
    """

    score: AbnormalityScore
    entry: Abnormality | None
    organs: tuple[str, ...]
    regions: tuple[Peak, ...]
    weakest: Peak | None
    sentences: tuple[Sentence, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """Evidence with what can still be tried, and with its regions to look at (`drawn`)."""

    evidence: Evidence
    changes: tuple[Change, ...]
    drawn: tuple[changed.Index, NDArray[np.uint8]] | None


@dataclass(frozen=True)
class Change:
    """Something that can be changed about a scan or its masks.

    ``name`` says what, ``meaning`` what to read from it; ``score`` encodes the scan anew, with progress in 0..1.
    """

    name: str
    meaning: str
    score: Callable[[Progress | None, Cancelled | None], AbnormalityScore]


def gather(embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, place: str, entry: Abnormality) -> Evidence:
    """What the score of an entry in one of its places rests on; encodes nothing but texts.

    Parameters
    ----------
    embedding : ScanEmbedding
        Where it comes from a cache, its embeddings of places are made now, which takes one encoding.
    scan, masks
        What was embedded.
    place : str
        An organ of the entry, or `WHOLE_SCAN`.
    entry : Abnormality
    """
    (score,) = score_pairs(embedding, [(place, entry)])
    named = entry.organs if place == WHOLE_SCAN else (place,)
    organs = tuple(o for name in named for o in embedding.groups.get(name, (name,)) if o in masks.statistics)
    notes = []
    if score.probability is None:
        notes.append(f"There is no score to test: {score.status.removeprefix('N/A: ')}.")
    regions: list[Peak] = []
    weakest = None
    if embedding.dense is None:
        notes.append(NO_PLACES)
    else:
        regions, weakest = regions_of(scan, masks, organs, partial(_valued, embedding, place, entry))
    sentences = sentences_of(embedding, score, entry)
    return Evidence(score, entry, organs, tuple(regions), weakest, sentences, tuple(notes))


def changes(
    evidence: Evidence, embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, rate: Rate | None = None
) -> list[Change]:
    """What to change about a scan to learn what a score rests on; none where there is no score.

    Each takes one encoding of the whole scan, whose surroundings an encoder may see: a crop would be another input.
    ``rate`` gives the score of another embedding, by default that of the dictionary's entry.
    """
    if evidence.score.probability is None:
        return []
    encoder, again = embedding.encoder, rate or partial(_rated, evidence)

    def score(
        what: Callable[[], tuple[Scan, OrganMasks]], progress: Progress | None, cancelled: Cancelled | None
    ) -> AbnormalityScore:
        other = encoder.encode_scan(*what(), progress=progress, cancelled=cancelled)
        after = again(other)
        return replace(after, status=GONE) if after.status == f"N/A: {NOT_IN_MASKS}" else after

    def erase(spots: Sequence[Peak]) -> tuple[Scan, OrganMasks]:
        result = scan
        for organ in dict.fromkeys(spot.organ for spot in spots):
            balls = [region(masks, scan, spot, encoder.card.spacing_mm) for spot in spots if spot.organ == organ]
            result = changed.erased(result, masks, organ, balls)
        return result, masks

    def even() -> tuple[Scan, OrganMasks]:
        result = scan
        for organ in evidence.organs:
            result = changed.erased(
                result, masks, organ, [changed.whole(masks, scan.spacing, organ, encoder.card.spacing_mm)]
            )
        return result, masks

    def resize(millimetres: float) -> tuple[Scan, OrganMasks]:
        return scan, changed.resized(scan, masks, evidence.organs, millimetres)

    plan: list[tuple[str, str, Callable[[], tuple[Scan, OrganMasks]]]] = []
    spots = evidence.regions
    if spots:
        plan.append(("region 1 erased", "falls where the score rests on that region", partial(erase, spots[:1])))
    if len(spots) > 1:
        plan.append((f"regions 1 to {len(spots)} erased", "falls where it rests on these", partial(erase, spots)))
    if spots and evidence.weakest is not None:
        told = "for comparison: should change little"
        plan.append(("another place erased", told, partial(erase, [evidence.weakest])))
    plan.append(
        ("organ made even", "all of it drawn from around its median HU: what is left is size, shape and density", even)
    )
    for by, what in ((RESIZE_MM, "grown"), (-RESIZE_MM, "shrunk")):
        told = "a large change means that the mask decides, not the organ"
        plan.append((f"mask {what} by {RESIZE_MM:g} mm", told, partial(resize, by)))
    return [Change(name, meaning, partial(score, what)) for name, meaning, what in plan]


def region(masks: OrganMasks, scan: Scan, spot: Peak, voxel_mm: float) -> changed.Part:
    """The voxels that are erased around a place, with all of what stands out there; ``voxel_mm`` is the encoder's."""
    ball = changed.ball(masks, scan.spacing, spot.organ, spot.index, RADIUS_MM, voxel_mm)
    return changed.with_what_stands_out(scan, masks, spot.organ, ball, REACH_MM, voxel_mm)


def drawn(
    evidence: Evidence, embedding: ScanEmbedding, scan: Scan, masks: OrganMasks
) -> tuple[changed.Index, NDArray[np.uint8]] | None:
    """What erasing the regions changes, to look at.

    Returns
    -------
    (start, labels) or None
        First voxel (I, P, L) of the scan, and (I, P, L) uint8 from there on: 1 for the first region, and so on; None
        without regions.
    """
    parts = [region(masks, scan, spot, embedding.encoder.card.spacing_mm) for spot in evidence.regions]
    if not parts:
        return None
    low = np.min([[s.start for s in part.box] for part in parts], axis=0)
    high = np.max([[s.stop for s in part.box] for part in parts], axis=0)
    labels = np.zeros(high - low, np.uint8)
    for number, part in reversed(list(enumerate(parts, 1))):  # the first is drawn over the others
        box = tuple(slice(s.start - a, s.stop - a) for s, a in zip(part.box, low, strict=True))
        labels[box][part.inside] = number
    return (int(low[0]), int(low[1]), int(low[2])), labels


def _rated(evidence: Evidence, embedding: ScanEmbedding) -> AbnormalityScore:
    assert evidence.entry is not None
    (score,) = score_pairs(embedding, [(evidence.score.organ, evidence.entry)])
    return score


def _valued(embedding: ScanEmbedding, place: str, entry: Abnormality, organ: str) -> tuple[Places, Values]:
    assert embedding.dense is not None
    direction = partial(_direction, embedding, organ if place == WHOLE_SCAN else place, entry)
    return valued(embedding.dense, organ, entry, direction)


def regions_of(
    scan: Scan, masks: OrganMasks, organs: Sequence[str], look: Callable[[str], tuple[Places, Values]]
) -> tuple[list[Peak], Peak | None]:
    """The best regions of organs and the weakest place apart from them; ``look`` gives places of one, with values."""
    found: list[Peak] = []
    lowest: list[Peak] = []
    for organ in organs:
        cells, values = look(organ)
        if not len(values):
            continue
        found += peaks_of(masks, organ, cells, values, scan.spacing)
        for at in np.argsort(values, kind="stable")[:MOST_LOW]:
            index = nearest_voxel(masks, masks.statistics[organ].label, cells.places[at], cells.size)
            lowest.append(Peak(organ, index, float(values[at])))
    best = sorted(found, key=lambda peak: -peak.value)[:MOST_REGIONS]
    apart = [low for low in sorted(lowest, key=lambda peak: peak.value) if all(_apart(low, p, scan) for p in best)]
    return best, apart[0] if apart else None


def _apart(one: Peak, other: Peak, scan: Scan) -> bool:
    """Whether the regions around two places do not meet."""
    between = np.subtract(one.index, other.index) * np.asarray(scan.spacing)
    return float(np.linalg.norm(between)) > 2 * RADIUS_MM


def _direction(embedding: ScanEmbedding, organ: str, entry: Abnormality) -> FloatArray:
    """(d,) vector whose product with a place is its score, in logits."""
    positive, negative = entry.prompts(organ)
    bank = bank_of(embedding.encoder)
    difference = bank.space(positive).mean(0) - bank.space(negative).mean(0)
    return np.asarray(embedding.encoder.logit_scale * difference, np.float32)


def lps(scan: Scan, spot: Peak) -> tuple[float, float, float]:
    """Where a region is, in LPS mm."""
    x, y, z = (float(v) for v in (scan.affine @ [*spot.index, 1.0])[:3])
    return (x, y, z)
