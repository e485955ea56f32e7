"""Where in an organ an answer lies."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.locate import APART_MM, locate, valued
from napari_ctvlp.ask.types import OrganMatch, Ranking
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.contract import Cells, Judged, OrganStatus, ScanEmbedding
from napari_ctvlp.sample import KNOWN_FINDINGS, load_sample

QUESTIONS = {"kidney_stone": "stone in the left kidney", "gallstones": "gallstones"}


class OneHot:
    """Cells of 2 voxels; those at ``spots`` look like the text, all others like something else."""

    def __init__(self, masks, encoder, text, spots):
        self.masks, self.spots = masks, spots
        self.yes, self.no = encoder.encode_text([text, "other words altogether"])

    def cells(self, organ):
        box = np.array(self.masks.statistics[organ].box)
        axes = [np.arange(a, b, 2) + 0.5 for a, b in box]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        hit = np.zeros(len(places), bool)
        for spot in self.spots.get(organ, ()):
            hit |= (np.abs(places - spot) <= 1).all(1)
        return Cells(places, np.where(hit[:, None], self.yes, self.no).astype(np.float32), np.array([2.0, 2.0, 2.0]))


@pytest.fixture
def asked(phantom, word_encoder):
    """Ask for a text whose likeness lies at given voxels of given organs."""
    scan, masks = phantom
    names = tuple(masks.names.values())

    def ask(text, spots, organs, matched=True):
        dense = OneHot(masks, word_encoder, text, spots)
        vectors = word_encoder.encode_text(names)
        embedding = ScanEmbedding(names, vectors, (OrganStatus.COMPLETE,) * len(names), word_encoder, dense)
        matches = tuple(OrganMatch(organ, score, score, score) for organ, score in organs.items())
        return locate(embedding, masks, Ranking(text, matched, "", matches), scan.spacing), masks

    return ask


def test_map_is_high_where_the_text_is_and_zero_outside_of_the_organ(asked):
    spot = (14, 26, 20)
    located, masks = asked("bright thing", {"liver": [spot]}, {"liver": 0.9, "spleen": 0.1})
    assert located.organs == ("liver",)
    assert located.peaks[0].organ == "liver"
    assert np.abs(np.subtract(located.peaks[0].index, spot)).max() <= 1
    box = tuple(slice(a, a + n) for a, n in zip(located.start, located.values.shape, strict=True))
    inside = masks.labels[box] == 5
    assert (located.values[~inside] == 0).all()
    assert (located.values[inside] > 0).all()
    at = np.unravel_index(located.values.argmax(), located.values.shape)
    assert np.abs(np.add(located.start, at) - spot).max() <= 1
    assert np.median(located.values[inside]) < 10
    assert located.low < located.high <= 1


def test_map_is_smooth(asked):
    located, _ = asked("bright thing", {"liver": [(14, 26, 20)]}, {"liver": 1.0})
    for axis in range(3):
        steps = np.abs(np.diff(located.values.astype(int), axis=axis))
        assert steps.max() < 130  # cells of two voxels with nothing between them would jump by 254


def test_peaks_lie_apart_best_first_and_in_their_organs(asked):
    spots = {"liver": [(10, 16, 14), (16, 36, 30)], "spleen": [(12, 36, 64)]}
    located, masks = asked("bright thing", spots, {"liver": 0.9, "spleen": 0.8})
    assert set(located.organs) == {"liver", "spleen"}
    assert len(located.peaks) == 3
    values = [peak.value for peak in located.peaks]
    assert values == sorted(values, reverse=True)
    for peak in located.peaks:
        assert masks.names[int(masks.labels[peak.index])] == peak.organ
    liver = [np.array(peak.index) * (3, 2, 2) for peak in located.peaks if peak.organ == "liver"]
    assert np.linalg.norm(liver[0] - liver[1]) >= APART_MM


def test_a_text_is_encoded_once_for_all_organs(asked, word_encoder, monkeypatch):
    spots = {"liver": [(10, 16, 14)], "spleen": [(12, 36, 64)]}
    texts = []
    real = word_encoder.encode_text
    monkeypatch.setattr(word_encoder, "encode_text", lambda given: texts.extend(given) or real(given))
    located, _ = asked("bright thing", spots, {"liver": 0.9, "spleen": 0.8})
    assert len(located.organs) == 2
    # the fixture's own: the names of all organs, the text with another
    assert texts.count("bright thing") == 2


def test_no_answer_and_no_dense_embeddings_give_no_map(asked, phantom, word_encoder):
    located, masks = asked("bright thing", {}, {"liver": 0.2}, matched=False)
    assert located is None
    embedding = word_encoder.encode_scan(*phantom)
    assert locate(embedding, masks, rank_organs(embedding, "liver"), (3, 2, 2)) is None


def test_large_maps_are_drawn_coarser(asked, monkeypatch):
    monkeypatch.setattr("napari_ctvlp.ask.locate.MOST_VOXELS", 2000)
    spot = (14, 26, 20)
    located, masks = asked("bright thing", {"liver": [spot]}, {"liver": 1.0})
    assert located.step == 2
    assert located.values.size <= 2000
    at = np.unravel_index(located.values.argmax(), located.values.shape)
    assert np.abs(np.add(located.start, np.multiply(at, 2)) - spot).max() <= 2
    assert (located.values > 0).sum() > 0.9 * (masks.labels == 5).sum() / 8


@pytest.fixture(scope="module")
def sample():
    scan, masks = load_sample()
    return scan, masks, load_encoder("starter", device="cpu").encode_scan(scan, masks)


@pytest.mark.parametrize("key", QUESTIONS)
def test_first_peak_is_the_known_finding(sample, key):
    """Of everything in the organ the encoder points at the stone: to within a cell of 6 mm."""
    scan, masks, embedding = sample
    known = next(k for k in KNOWN_FINDINGS if k.abnormality == key)
    located = locate(embedding, masks, rank_organs(embedding, QUESTIONS[key]), scan.spacing)
    assert located.organs == (known.organ,)
    away = np.linalg.norm(np.subtract(located.peaks[0].index, known.centre) * np.array(scan.spacing))
    assert away <= known.size_mm / 2 + 6
    assert "above 0 speaks for it" in located.meaning and "not trained" not in located.meaning


def test_cells_lie_in_their_organ_and_are_embeddings(sample):
    _, masks, embedding = sample
    cells = embedding.dense.cells("spleen")
    assert np.allclose(np.linalg.norm(cells.vectors, axis=1), 1, atol=1e-4)
    labels = {organ: label for label, organ in masks.names.items()}
    near = np.clip(np.rint(cells.places).astype(int), 0, np.array(masks.labels.shape) - 1)
    own = masks.labels[tuple(near.T)] == labels["spleen"]
    assert own.mean() > 0.6  # cells at the rim have their middle beside the organ
    assert len(embedding.dense.cells("no such organ").places) == 0


def test_what_an_encoder_was_not_trained_on_is_said(sample):
    scan, masks, embedding = sample
    located = locate(embedding, masks, rank_organs(embedding, "liver abscess"), scan.spacing)
    assert "not trained on it" in located.meaning


class Judges:
    """Embeddings like the text in one place, and a judge of stones who points to another."""

    places = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), -1).reshape(-1, 3)

    def cells(self, organ):
        likeness = np.zeros((64, 3), np.float32)
        likeness[20, 0] = 1.0
        return Cells(self.places, likeness, np.ones(3))

    def judged(self, organ, abnormality):
        values = np.zeros(64, np.float32)
        values[7] = 5.0
        return Judged(self.places, values, np.ones(3)) if abnormality == "kidney_stone" else None


def test_a_judgement_of_places_is_taken_before_their_likeness():
    """As it is, where there is one of the finding that is asked for; else the embeddings answer."""
    entries = {entry.key: entry for entry in load_dictionary()}

    def asked_for(entry):
        return valued(Judges(), "kidney_left", entry, lambda: np.array([1, 0, 0], np.float32))[1]

    stone = asked_for(entries["kidney_stone"])
    assert stone.argmax() == 7 and stone[7] == 5
    assert asked_for(entries["kidney_cyst"]).argmax() == asked_for(None).argmax() == 20
