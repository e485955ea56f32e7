"""Heads: figures that follow the network below, and the last stage, for every method."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.engine import features, loop
from training.engine.features import SLAB, scan_features
from training.engine.feeding import batch_of
from training.engine.refine import KEPT, averaged, features_of_run, forget_features, refine
from training.engine.standards import follow, restandardise, standardise_of, tallied
from training.objectives.registry import METHODS

from .phantoms import Phantoms, config_of, start


class Fixed(Phantoms):
    """Phantoms that are told apart from others by what they are."""

    def __repr__(self):
        return "phantoms"


@pytest.fixture
def head():
    from napari_ctvlp.encoder.vision import Standardise

    torch.manual_seed(0)
    made = torch.nn.Sequential(Standardise(3), torch.nn.Linear(3, 4))
    made[0].fit(torch.tensor([[0.0, 1.0, 2.0], [2.0, 5.0, 2.0]]))
    return made


def test_figures_move_by_a_share_to_those_of_all_parts_of_a_step(head):
    rows = torch.randn(50, 3) * torch.tensor([1.0, 30.0, 0.0]) + torch.tensor([5.0, -7.0, 100.0])
    mean, spread = standardise_of(head).mean.clone(), standardise_of(head).spread.clone()
    tally = {"organs": tallied(head, rows[:20]) + tallied(head, rows[20:])}
    follow({"organs": head}, tally, 0.25)
    assert not tally
    torch.testing.assert_close(standardise_of(head).mean, 0.75 * mean + 0.25 * rows.mean(0))
    wanted = rows.std(0, correction=0).clamp_min(1e-3)
    torch.testing.assert_close(standardise_of(head).spread, 0.75 * spread + 0.25 * wanted, rtol=1e-4, atol=1e-5)


def test_a_step_without_rows_or_left_out_moves_nothing(head):
    before = standardise_of(head).mean.clone()
    follow({"organs": head}, {}, 0.5)
    follow({"organs": head}, {"organs": tallied(head, torch.zeros(0, 3))}, 0.5)
    tally = {"organs": tallied(head, torch.ones(9, 3))}
    follow({"organs": head}, tally, 0.0)
    assert torch.equal(standardise_of(head).mean, before) and not tally


def test_a_head_that_is_fitted_anew_gives_the_same_answers(head):
    rows = torch.randn(20, 3) * torch.tensor([0.5, 2.0, 1e-3]) + torch.tensor([1.0, 3.0, 2.0])
    before = head(rows)
    restandardise(head, rows)
    torch.testing.assert_close(head(rows), before, rtol=1e-3, atol=1e-4)
    assert standardise_of(head)(rows)[:, :2].mean(0).abs().max() < 1e-5


def test_figures_follow_the_same_however_a_step_is_cut(tmp_path):
    found = []
    for micro in (None, 1):
        run = start(config_of("ours", tmp_path, micro=micro))
        run.learner.train()
        before = run.learner.model.vision.head[0].mean.clone()
        loop.advance(run, batch_of(run, 0))
        assert not torch.equal(run.learner.model.vision.head[0].mean, before)
        assert not run.learner.parts[0].tallies
        found.append([run.learner.model.vision.head[0].spread, run.learner.parts[0].whole_head[0].mean])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_last_stage_trains_the_heads_of_any_method_and_nothing_else(method, tmp_path):
    config = config_of(method, tmp_path)
    run = start(replace(config, refine=replace(config.refine, steps=10)))  # what moves at all moves in the first ones
    before = {k: v.clone() for k, v in run.average.state_dict().items()}
    own = {k: v.clone() for k, v in run.heads.state_dict().items() if isinstance(v, torch.Tensor)}
    model, heads = refine(run, run.vocabulary)
    after = model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert all(k.startswith(("vision.head", "text_projection", "log_scale")) for k in changed)
    assert "vision.head.1.weight" in changed and all(torch.isfinite(v).all() for v in after.values())
    assert ("text_projection.weight" in changed) == heads.asks_in_words
    assert all(not torch.equal(v, heads.state_dict()[k]) for k, v in own.items() if v.is_floating_point())
    assert all(torch.equal(v, before[k]) for k, v in run.average.state_dict().items())  # a copy was trained


def test_several_views_are_slabs_that_overlap(tmp_path):
    run = start(config_of("t3d", tmp_path))
    network = averaged(run).parts[0]
    one = scan_features(network, run.store, 1)[0]
    height = run.store.load(0).hu.shape[0]
    assert one.pooled.organs is None and one.whole.shape[0] == 2 and len(one.pooled.tokens) == 2
    assert not torch.equal(one.whole[0], one.whole[1])
    volume, *_ = one.whole[:, -2 * 3 * 8 - 5 :].T  # log volume leads the geometry
    alone = scan_features(network, run.store, 1, needs=type(network.needs)(organs=False, whole=True))[0]
    assert (volume < alone.whole[0, -2 * 3 * 8 - 5]).all() and math.ceil(SLAB * height) < height


def test_features_of_a_run_that_was_killed_are_taken_from_where_they_were_kept(tmp_path, monkeypatch, capsys):
    run = start(config_of("ours", tmp_path))
    run.store = Fixed()
    monkeypatch.setattr(features, "TOGETHER", 2)
    pooled, asked = features._pooled, []

    def killed(network, scans, scan, needs):
        number = next(n for n in range(4) if np.array_equal(scan.hu, run.store.load(n).hu))
        if number == 3 and 3 not in asked:
            asked.append(number)
            raise KeyboardInterrupt
        asked.append(number)
        return pooled(network, scans, scan, needs)

    monkeypatch.setattr(features, "_pooled", killed)
    with pytest.raises(KeyboardInterrupt):
        features_of_run(run)
    first = features_of_run(run)
    assert asked == [0, 1, 2, 3, 2, 3]  # the first two were kept
    again = features_of_run(run)
    assert len(asked) == 6
    for one, other in zip(first[0], again[0], strict=True):
        assert torch.equal(one.organs, other.organs) and torch.equal(one.whole, other.whole)
        assert one.records == other.records
    kept = next((tmp_path / KEPT).glob("*/*.pt"))
    kept.write_bytes(b"damaged")
    assert len(features_of_run(run)[0]) == 4 and len(asked) == 8 and "computing it anew" in capsys.readouterr().out
    with torch.no_grad():
        next(run.average.vision.parameters()).add_(1)
    features_of_run(run)
    assert len(asked) == 12 and len(list((tmp_path / KEPT).iterdir())) == 1  # of other weights: those before are gone
    forget_features(tmp_path)
    assert not (tmp_path / KEPT).exists()
