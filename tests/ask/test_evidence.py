"""Evidence for a score: on a toy whose workings are known, and on the starter with the built-in scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.anatomy.dictionary import load_dictionary
from napari_ctvlp.ask import score_abnormalities
from napari_ctvlp.ask.evidence import GONE, NO_PLACES, RADIUS_MM, changes, gather
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.contract import Cells, EncodingCancelled, OrganStatus, ScanEmbedding
from napari_ctvlp.sample import load_sample
from tests.conftest import WordEncoder

ENTRY = next(e for e in load_dictionary() if e.key == "kidney_stone")


class BrightEncoder(WordEncoder):
    """An organ looks like a stone the more of its voxels lie over 300 HU (0.5 % are enough), else like a normal one."""

    def __init__(self, known=True):
        super().__init__(abnormalities=("kidney_left/kidney_stone", "kidney_right/kidney_stone") if known else ())
        self.encoded = 0

    def look(self, organ, shares):
        positive, negative = (self.encode_text(list(p)).mean(0) for p in ENTRY.prompts(organ))
        rows = np.asarray(shares)[:, None] * positive + (1 - np.asarray(shares))[:, None] * negative
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
        self.encoded += 1
        for step in (0.0, 0.5, 1.0):
            if cancelled is not None and cancelled():
                raise EncodingCancelled
            if progress is not None:
                progress(step)
        names = tuple(masks.names.values())
        share = {name: min(1.0, 200 * (scan.hu[masks.labels == n] > 300).mean()) for n, name in masks.names.items()}
        vectors = np.concatenate([self.look(name, [share[name]]) for name in names])
        return ScanEmbedding(names, vectors, (OrganStatus.COMPLETE,) * len(names), self, Places(self, scan, masks))


class Places:
    """Cells of 2 voxels."""

    def __init__(self, encoder, scan, masks):
        self.encoder, self.scan, self.masks = encoder, scan, masks

    def cells(self, organ):
        box = np.array(self.masks.statistics[organ].box)
        axes = [np.arange(a, b, 2) for a, b in box]
        corners = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        shares = [(self.scan.hu[i : i + 2, p : p + 2, k : k + 2] > 300).mean() for i, p, k in corners]
        return Cells(corners + 0.5, self.encoder.look(organ, shares), np.full(3, 2.0))


@pytest.fixture
def stone(phantom):
    """A large left kidney with a stone in one corner."""
    scan, masks = phantom
    masks.labels[18:34, 20:45, 40:62] = 3
    scan.hu[masks.labels == 3] = 30
    scan.hu[20:23, 22:25, 42:46] = 900
    from napari_ctvlp.scan.masks import organ_statistics

    masks.statistics.update(organ_statistics(scan, masks.labels, masks.names))
    return scan, masks


def told(evidence, embedding, scan, masks):
    return {c.name: c.score(None, None) for c in changes(evidence, embedding, scan, masks)}


def test_the_region_is_where_the_stone_is_and_erasing_it_takes_the_score_away(stone):
    scan, masks = stone
    encoder = BrightEncoder()
    embedding = encoder.encode_scan(scan, masks)
    evidence = gather(embedding, scan, masks, "kidney_left", ENTRY)
    assert encoder.encoded == 1
    (score,) = (s for s in score_abnormalities(embedding, (ENTRY,)) if s.organ == "kidney_left")
    assert evidence.score.probability == pytest.approx(score.probability, rel=1e-4)
    assert evidence.organs == ("kidney_left",) and not evidence.notes
    best = evidence.regions[0]
    assert np.linalg.norm(np.subtract(best.index, (21, 23, 44)) * scan.spacing) < RADIUS_MM
    assert evidence.weakest is not None and evidence.weakest.value < best.value
    assert [s.positive for s in evidence.sentences] == [True] * 6 + [False] * 5
    after = told(evidence, embedding, scan, masks)
    assert after["region 1 erased"].probability < score.probability - 0.3
    assert after["organ made even"].probability == pytest.approx(after["region 1 erased"].probability, abs=1e-4)
    assert after["another place erased"].probability == pytest.approx(score.probability, abs=1e-4)
    assert after["mask grown by 3 mm"].probability < score.probability  # the share of the stone falls
    assert encoder.encoded == 1 + len(after)


def test_a_mask_that_vanishes_has_no_score_and_says_why(phantom):
    scan, masks = phantom
    masks.labels[masks.labels == 3] = 0
    masks.labels[24:26, 40:42, 55:57] = 3
    from napari_ctvlp.scan.masks import organ_statistics

    masks.statistics.update(organ_statistics(scan, masks.labels, masks.names))
    embedding = BrightEncoder().encode_scan(scan, masks)
    evidence = gather(embedding, scan, masks, "kidney_left", ENTRY)
    after = told(evidence, embedding, scan, masks)["mask shrunk by 3 mm"]
    assert after.probability is None and after.status == GONE


def test_without_a_score_there_is_nothing_to_change_but_regions_and_sentences(stone):
    scan, masks = stone
    embedding = BrightEncoder(known=False).encode_scan(scan, masks)
    evidence = gather(embedding, scan, masks, "kidney_left", ENTRY)
    assert evidence.notes == ("There is no score to test: unknown to this encoder.",)
    assert evidence.regions and evidence.sentences
    assert changes(evidence, embedding, scan, masks) == []


def test_without_places_masks_can_still_be_changed(stone):
    scan, masks = stone
    embedding = replace(BrightEncoder().encode_scan(scan, masks), dense=None)
    evidence = gather(embedding, scan, masks, "kidney_left", ENTRY)
    assert evidence.notes == (NO_PLACES,) and not evidence.regions
    names = [c.name for c in changes(evidence, embedding, scan, masks)]
    assert names == ["organ made even", "mask grown by 3 mm", "mask shrunk by 3 mm"]


def test_progress_is_told_and_cancelling_ends_it(stone):
    scan, masks = stone
    embedding = BrightEncoder().encode_scan(scan, masks)
    change = changes(gather(embedding, scan, masks, "kidney_left", ENTRY), embedding, scan, masks)[0]
    seen = []
    change.score(seen.append, None)
    assert seen == [0.0, 0.5, 1.0]
    with pytest.raises(EncodingCancelled):
        change.score(None, lambda: True)


@pytest.fixture(scope="module")
def stone_in_the_sample():
    """The score of the sample's gallstone by the shipped encoder, and what becomes of it."""
    scan, masks = load_sample()
    embedding = load_encoder("starter").encode_scan(scan, masks)
    entry = next(e for e in load_dictionary() if e.key == "gallstones")
    evidence = gather(embedding, scan, masks, "gallbladder", entry)
    return evidence.score, told(evidence, embedding, scan, masks)


@pytest.mark.slow
def test_what_the_starter_sees_in_the_sample_rests_on_the_stone(stone_in_the_sample):
    score, after = stone_in_the_sample
    assert after["region 1 erased"].probability < 0.5 < score.probability
    assert abs(after["another place erased"].probability - score.probability) < 0.05


@pytest.mark.slow
def test_an_organ_made_even_has_no_stone(stone_in_the_sample):
    _, after = stone_in_the_sample
    assert after["organ made even"].probability < 0.1
