"""Places inside and outside of lesions: drawn where they are, judged in any number of passes, and learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_ctvlp.anatomy.schemes import SCHEMES
from napari_ctvlp.encoder.tokens import index_organs
from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.data.lesions import PER_LESION, Looked, places_of_view, places_of_views
from training.engine import loop
from training.engine.feeding import batch_of
from training.engine.sources import EVIDENCE, with_evidence

from .phantoms import BOXES, ILL, ORGANS, Phantoms, config_of, start

NAMES = ("kidney_stone", "liver_cyst")
LABEL = {organ: label for label, organ in SCHEMES["totalsegmentator_v2"].items()}


class Spotted(Phantoms):
    """Phantoms whose abnormality fills a corner of its organ, and is known."""

    def findings(self, index):
        found = []
        for label, name in ILL[index].items():
            low = [s.start for s in BOXES[label]]
            found.append(
                {
                    "organ": ORGANS[label],
                    "abnormality": name,
                    "box": tuple((a, a + 6) for a in low),
                    "mask": np.ones((6, 6, 6), bool),
                }
            )
        return found

    def load(self, index):
        scan = super().load(index)
        hu = np.array(scan.hu)
        for label in ILL[index]:
            hu[BOXES[label]] -= 200
            hu[tuple(slice(s.start, s.start + 6) for s in BOXES[label])] += 200
        return replace(scan, hu=hu)


def lesioned(method="ctglip", folder=None, **optim):
    config = config_of(method, folder, lesions=2.0, **optim)
    return replace(config, model=replace(config.model, evidence=NAMES))


def view(start=(0, 0, 0), size=(20, 20, 20)):
    """A crop with a left kidney of 12 voxels and a stone in its corner."""
    labels = np.zeros(size, np.uint8)
    kidney = tuple(slice(max(0, 4 - s), max(0, 16 - s)) for s in start)
    labels[kidney] = LABEL["kidney_left"]
    finding = {
        "organ": "kidney_left",
        "abnormality": "kidney_stone",
        "box": ((4, 8),) * 3,
        "mask": np.ones((4, 4, 4), bool),
    }
    return [finding], start, labels


@given(st.tuples(*[st.integers(-5, 9)] * 3), st.sampled_from([2, 4]), st.integers(0, 10**6))
def test_places_are_true_of_the_voxels_that_they_cover(start, stride, seed):
    findings, start, labels = view(start)
    place, holds, asked = places_of_view(findings, start, labels, Looked(NAMES, stride), np.random.default_rng(seed))
    for where, held, told in zip(place, holds, asked, strict=True):
        covered = 0
        for di, dp, dl in np.ndindex(stride, stride, stride):
            voxel = where[:3] * stride + (di, dp, dl)
            if (voxel < labels.shape).all():
                covered += int(((voxel + start >= 4) & (voxel + start < 8)).all())
        if held[0]:
            assert covered > 0 and told[0]
        elif told[0]:
            assert covered == 0
        assert not told[1] and not held[1], "a cyst of the liver is not asked of a kidney"
    in_view = all(s < 8 and s + n > 4 for s, n in zip(start, labels.shape, strict=True))
    assert holds[:, 0].any() == in_view


def test_a_lesion_smaller_than_a_place_counts():
    findings, start, labels = view()
    findings[0] |= {"box": ((5, 6),) * 3, "mask": np.ones((1, 1, 1), bool)}
    place, holds, _ = places_of_view(findings, start, labels, Looked(NAMES, 4), np.random.default_rng(0))
    assert {tuple(row) for row in place[holds[:, 0]]} == {(1, 1, 1, LABEL["kidney_left"])}


def test_where_a_lesion_would_be_is_looked_at_and_shows_none():
    findings, start, labels = view()
    looked, rng = Looked(NAMES, 4), np.random.default_rng(0)
    place, holds, asked = places_of_view([], start, labels, looked, rng, gone=findings)
    there = (place[:, :3] == 1).all(1)
    assert there.any() and asked[there, 0].all() and not holds.any()
    place, holds, _ = places_of_view(findings, start, labels, looked, rng, gone=findings)
    assert holds[(place[:, :3] == 1).all(1), 0].all()  # another lesion lies there after all


def test_a_large_finding_gives_few_places():
    findings, start, labels = view(size=(64, 64, 64))
    labels[:] = LABEL["kidney_left"]
    findings[0] |= {"box": ((0, 64),) * 3, "mask": np.ones((64, 64, 64), bool)}
    _, holds, _ = places_of_view(findings, start, labels, Looked(NAMES, 2), np.random.default_rng(0))
    assert PER_LESION <= holds[:, 0].sum() <= PER_LESION + 32


def test_places_of_some_views_are_counted_from_the_first_of_these():
    rng = np.random.default_rng(0)
    views = [places_of_view(*view(), Looked(NAMES, 2), rng) for _ in range(3)]
    some = places_of_views(views).within(slice(1, 3))
    assert some.place[:, 0].unique().tolist() == [0, 1]
    assert torch.equal(some.place[some.place[:, 0] == 1, 1:], torch.from_numpy(views[2][0]))


def test_places_are_found_among_the_pairs_of_token_and_organ():
    rng = np.random.default_rng(0)
    labels = [view()[2], view(start=(3, 0, 2))[2]]
    labels[1][18:, 18:, 18:] = LABEL["liver"]
    findings = [view()[0], view(start=(3, 0, 2))[0]]
    starts = [(0, 0, 0), (3, 0, 2)]
    drawn = [places_of_view(f, s, n, Looked(NAMES, 2), rng) for f, s, n in zip(findings, starts, labels, strict=True)]
    places = places_of_views(drawn)
    index = index_organs(torch.from_numpy(np.stack(labels)), [(10, 10, 10)], [2], 3.0)
    pair = places.pairs(index, (10, 10, 10))
    tokens, organ = index.levels[0].token[pair], index.levels[0].segment[pair]
    view_, i, p, l, label = places.place.unbind(1)  # noqa: E741
    assert torch.equal(tokens, view_ * 1000 + i * 100 + p * 10 + l)
    assert torch.equal(index.label[organ], label) and torch.equal(index.sample[organ], view_)


def test_a_lesion_is_looked_at_in_its_own_organ():
    """At the border of two organs that can have the same, it is not taken for the neighbour's."""
    findings, start, labels = view()
    labels[8:16, 4:16, 4:16] = LABEL["kidney_right"]
    findings[0] |= {"box": ((5, 9), (5, 9), (5, 9))}
    place, holds, asked = places_of_view(findings, start, labels, Looked(NAMES, 2), np.random.default_rng(0))
    right = place[:, 3] == LABEL["kidney_right"]
    assert holds[~right, 0].any() and not holds[right, 0].any()
    touched = ((place[:, :3] >= 2) & (place[:, :3] <= 4)).all(1)
    assert not asked[right & touched, 0].any() and asked[right & ~touched, 0].all()


def test_small_passes_give_the_gradient_of_one_large_one():
    found = []
    for micro in (None, 2):
        run = start(lesioned(micro=micro), Spotted())
        run.learner.train()
        result = loop.gradient_step(run, batch_of(run, 0))
        assert {"place", "most"} <= result.terms.keys()
        gradient = [torch.zeros_like(p) if p.grad is None else p.grad for p in run.learner.parameters()]
        found.append((float(result.loss), torch.cat([g.flatten() for g in gradient])))
    (loss, gradient), (small_loss, small) = found
    assert small_loss == pytest.approx(loss, abs=1e-5)
    assert (small - gradient).norm() <= 1e-5 * gradient.norm()


def test_a_network_learns_where_lesions_are():
    run = start(lesioned(steps=60, learning_rate=1e-2), Spotted())
    run.learner.train()
    value = [float(loop.advance(run, batch_of(run, run.step)).terms["place"].value.detach()) for _ in range(60)]
    first, last = np.mean(value[:5]), np.mean(value[-5:])
    assert last < 0.4 * first and last < 0.65 * np.log(2)


def test_what_is_known_of_whole_organs_is_enough_to_learn_evidence():
    """Without a word on where they are, the places that look most abnormal come to lie in the lesions."""
    config = config_of("ctglip", None, steps=60, learning_rate=1e-2, evidence=2.0)
    run = start(replace(config, model=replace(config.model, evidence=NAMES)), Spotted())
    run.learner.train()
    terms = [loop.advance(run, batch_of(run, run.step)).terms for _ in range(60)]
    assert all("place" not in each for each in terms)
    value = [float(each["most"].value.detach()) for each in terms]
    assert np.mean(value[-5:]) < 0.5 * np.mean(value[:5])


def test_a_run_takes_the_kinds_of_the_world_and_refuses_other_data():
    config = with_evidence(PretrainConfig(optim=replace(PretrainConfig().optim, lesions=1.0)))
    assert "kidney_stone" in config.model.evidence and config.model.evidence == tuple(sorted(config.model.evidence))
    plain = with_evidence(PretrainConfig(method="ctglip"))
    assert plain.optim.evidence == 0 and plain.model.evidence == ()
    ours = with_evidence(PretrainConfig(method="ours"))
    assert ours.optim.evidence == EVIDENCE["ours"] and ours.model.evidence == config.model.evidence
    off = replace(PretrainConfig(method="ours"), optim=replace(PretrainConfig().optim, evidence=0.0))
    assert with_evidence(off).model.evidence == ()
    with pytest.raises(UserError, match="voxel by voxel"):
        with_evidence(replace(config, data="prepared"))
