"""What the score of a taught finding rests on: its examples, and the regions that its probe answers to."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.ask.evidence import NO_PLACES, Case, Evidence, changes, drawn, regions_of
from napari_ctvlp.ask.locate import Peak, Places, valued
from napari_ctvlp.ask.score import rows_of
from napari_ctvlp.ask.sentences import Sentence
from napari_ctvlp.ask.teach import ENOUGH, TaughtFinding, score_taught
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import ScanEmbedding
from napari_ctvlp.scan.types import OrganMasks, Scan

NO_SENTENCES = "Taught by examples: there are no sentences behind it."
SHORT = 6
"""Digits of a scan's hash that are shown."""


def gather_taught(
    embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, organ: str, finding: TaughtFinding, here: str = ""
) -> Evidence:
    """What the score of a taught finding in an organ rests on; encodes nothing.

    Parameters
    ----------
    embedding : ScanEmbedding
    scan, masks
        What was embedded.
    organ : str
    finding : TaughtFinding
    here : str
        Hash of the open scan, as its examples have it.

    Returns
    -------
    Evidence
        Without an entry; ``sentences`` are the examples, those that have the finding first, each with its cosine to
        the organ. The value of a region is the probe's, in logits.
    """
    score = rate_taught(organ, finding, embedding)
    organs = tuple(o for o in embedding.groups.get(organ, (organ,)) if o in masks.statistics)
    notes = [NO_SENTENCES, f"{finding.note[:1].upper()}{finding.note[1:]}."]
    if score.probability is None:
        notes.insert(0, f"There is no score to test: {score.status.removeprefix('N/A: ')}.")
    regions: list[Peak] = []
    weakest = None
    if embedding.dense is None:
        notes.append(NO_PLACES)
    elif finding.ready:
        regions, weakest = regions_of(scan, masks, organs, partial(_valued, embedding, finding))
    examples = _examples(embedding, organ, finding, here)
    return Evidence(score, None, organs, tuple(regions), weakest, examples, tuple(notes))


def taught_case(
    embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, organ: str, finding: TaughtFinding, here: str = ""
) -> Case:
    """Evidence with what can be tried, scored by the same probe."""
    found = gather_taught(embedding, scan, masks, organ, finding, here)
    plan = changes(found, embedding, scan, masks, partial(rate_taught, organ, finding))
    return Case(found, tuple(plan), drawn(found, embedding, scan, masks))


def rate_taught(organ: str, finding: TaughtFinding, embedding: ScanEmbedding) -> AbnormalityScore:
    """The score of a taught finding in one organ of any scan; one without probability where it has too few examples."""
    rows = score_taught(embedding, [finding])
    few = f"N/A: a score needs {ENOUGH} examples of each kind"
    nothing = AbnormalityScore(organ, finding.key, None, None, None, few, finding.note)
    return next((row for row in rows if row.organ == organ), nothing)


def _valued(embedding: ScanEmbedding, finding: TaughtFinding, organ: str) -> tuple[Places, NDArray[np.float64]]:
    assert embedding.dense is not None
    probe = finding.probes[0]
    cells, values = valued(embedding.dense, organ, None, lambda: probe.weights.astype(np.float32))
    return cells, values + (probe.offset - float(probe.middle @ probe.weights))


def _examples(embedding: ScanEmbedding, organ: str, finding: TaughtFinding, here: str) -> tuple[Sentence, ...]:
    row = rows_of(embedding).get(organ)
    if row is None or finding.dim != embedding.vectors.shape[1]:
        return ()
    found = []
    for example in finding.examples:
        where = "this scan" if example.scan == here else f"scan {example.scan[:SHORT]}"
        cosine = float(example.vector @ embedding.vectors[row])
        found.append(Sentence(f"{display_name(example.organ)}, {where}", example.present, cosine, None))
    return tuple(sorted(found, key=lambda s: (not s.positive, -s.similarity)))
