"""Every method trains; a step in small passes, or without finite numbers, does what it promises."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from napari_ctvlp.encoder.pooling import organ_densities
from napari_ctvlp.encoder.tokens import index_organs
from napari_ctvlp.errors import UserError
from training.data.batch import training_batch
from training.engine import loop
from training.engine.checkpoint import load_checkpoint
from training.engine.feeding import batch_of
from training.engine.sentences import report_vectors, sentences_of, step_texts
from training.engine.whole import BODY, whole_index
from training.objectives.registry import METHODS

from .phantoms import Phantoms, Sentences, config_of, start, state_of

WINDOWS = ((-160.0, 240.0), (-1000.0, -200.0), (100.0, 1500.0))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(method):
    run = start(config_of(method))
    run.learner.train()
    before = state_of(run)
    for _ in range(2):
        result = loop.advance(run, batch_of(run, run.step))
        assert torch.isfinite(result.loss) and result.terms and result.rows > 0
        for network in run.learner.networks:
            gradient = network.model.vision.stages[0][0].weight.grad
            assert gradient is not None and gradient.norm() > 0
    assert run.skipped == 0 and (state_of(run) - before).abs().max() > 0


def gradients(method: str, micro: int | None) -> tuple[float, torch.Tensor]:
    run = start(config_of(method, micro=micro))
    run.learner.train()
    result = loop.gradient_step(run, batch_of(run, 0))
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in run.learner.parameters()]
    return float(result.loss), torch.cat([g.flatten() for g in found])


@pytest.mark.parametrize("method", ["ctglip", "siglip", "fvlm-coteach", "t3d", "ours"])
def test_small_passes_give_the_gradient_of_one_large_one(method):
    loss, gradient = gradients(method, None)
    for micro in (2,):
        small_loss, small = gradients(method, micro)
        assert small_loss == pytest.approx(loss, abs=1e-5)
        assert (small - gradient).norm() <= 1e-5 * gradient.norm()


def test_a_step_without_finite_numbers_is_left_out_and_named(tmp_path):
    run = start(config_of("ours-bank", tmp_path, batch=1, patience=3), Phantoms(broken=range(4)))
    run.learner.train()
    before = state_of(run)
    for n in (1, 2):
        loop.advance(run, batch_of(run, run.step))
        assert (run.skipped, run.step) == (n, n)
    assert torch.equal(before, state_of(run)) and not run.learner.objective.bank.kept
    with pytest.raises(UserError, match=r"3 steps in a row .* scan \d"):
        loop.advance(run, batch_of(run, run.step))
    named = [json.loads(line)["skipped"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(named) == 3 and all(name.startswith("scan ") for name in named)


def test_one_broken_scan_costs_its_steps_and_no_more(tmp_path):
    run = start(config_of("ctglip", tmp_path, batch=1, steps=4), Phantoms(broken=[2]))
    loop.train(run, lambda _: {})
    assert (run.step, run.skipped, run.skipped_in_a_row <= 1) == (4, 1, True)
    assert torch.isfinite(state_of(run)).all()
    assert load_checkpoint(tmp_path)["skipped"] == 1


@pytest.mark.parametrize("method", ["ours-bank", "fvlm", "t3d", "fvlm-coteach"])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, method):
    """With the state of the method, the slow text projection and the second network."""
    whole = start(config_of(method, tmp_path / "whole", half=True))
    (tmp_path / "whole").mkdir()
    loop.train(whole, lambda _: {})
    (tmp_path / "parts").mkdir()
    config = replace(config_of(method, tmp_path / "parts", half=True), minutes=0.0)
    for n in range(4):
        run = start(replace(config, resume=n > 0))
        assert run.step == n
        loop.train(run, lambda _: {})
    assert run.done and torch.equal(state_of(whole), state_of(run))
    if method == "ours-bank":
        kept = [r.learner.objective.bank.kept for r in (whole, run)]
        assert kept[0] and all(torch.equal(kept[0][k], kept[1][k]) for k in kept[0])
    with pytest.raises(UserError, match="method"):
        start(replace(config, resume=True, method="clip"))


def test_the_whole_is_pooled_as_an_organ_of_all_of_the_body_would_be():
    image = training_batch(Phantoms(), 0, 0, 2, WINDOWS).image[:, :, :33, :71, :]
    body = (image.amax(1) > BODY).to(torch.uint8)
    size, grids, strides = tuple(image.shape[2:]), [], []
    for depth in range(3):
        size = tuple((n + 1) // 2 for n in size)
        grids.append(size)
        strides.append(2 ** (depth + 1))
    organ, whole = index_organs(body, grids, strides, 6.0), whole_index(image, 3, 6.0)
    geometry = torch.cat([organ.geometry, organ_densities(image, body, organ)], 1)
    torch.testing.assert_close(whole.geometry, geometry)
    for ours, theirs in zip(whole.levels, organ.levels, strict=True):
        assert torch.equal(ours.token, theirs.token) and torch.equal(ours.segment, theirs.segment)
        torch.testing.assert_close(ours.log_count, theirs.log_count)


def test_a_view_of_air_has_a_row_too():
    index = whole_index(-torch.ones(2, 3, 8, 8, 8), 2, 6.0)
    assert index.sample.tolist() == [0, 1] and len(index.levels[1].token) == 2 * 8


def test_views_and_parts_of_a_step_do_not_depend_on_how_it_is_divided():
    one = training_batch(Phantoms(), 0, 1, 3, WINDOWS, views=2)
    parts = [training_batch(Phantoms(), 0, 1, 3, WINDOWS, views=2, rank=r, processes=4) for r in range(4)]
    assert one.views == 2 and [len(p.scans) for p in parts] == [0, 1, 1, 1]
    assert torch.equal(one.image, torch.cat([p.image for p in parts]))
    assert one.positions == [n for p in parts for n in p.positions] and one.scans == [n for p in parts for n in p.scans]
    assert not torch.equal(one.image[0], one.image[1])


def test_texts_of_a_step():
    run = start(config_of("ours"))
    record = Phantoms().records(0)
    records = [record[3], record[3], record[1], replace(record[5], known=False)]
    texts, row = step_texts(run.vocabulary, records, [0, 0, 0, 1], 0, 0, hard=True, reports=["The liver is normal."])
    assert row.tolist() == [0, 0, 1, -1]  # two views of one scan say the same; a cut organ says nothing
    bank = Sentences()
    assert torch.equal(texts.organs, bank(["A left kidney_stone in the kidney_left of 0.", "The spleen is normal."]))
    false = [
        "A right kidney_stone in the kidney_left of 0.",
        "No evidence of a left kidney_stone in the kidney_left of 0.",
    ]
    assert torch.equal(texts.hard, bank(false)) and texts.hard_of.tolist() == [0, 0]
    organs = run.classes.organs
    assert [organs[m] if m >= 0 else None for m in texts.mirror.tolist()] == ["kidney_right", "kidney_left", None, None]
    again, _ = step_texts(run.vocabulary, records[2:], [0, 1], 0, 0)
    assert torch.equal(again.names, texts.names) and torch.equal(again.dictionary, texts.dictionary)
    assert torch.equal(texts.whole, bank(["The liver is normal."]))
    parts = [sentences_of("The liver is normal. The spleen is large.\nNo stone.")]
    long = report_vectors(bank(parts[0]), parts)
    assert long.norm() == pytest.approx(1) and (long @ bank(["No stone."]).T) > 0
