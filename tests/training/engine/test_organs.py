"""The table of organs: the contrasts by hand, the macro AUCs, and where they are written."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.data.texts import Classes
from training.engine import loop
from training.engine.feeding import batch_of
from training.engine.metrics import Interval, auc_with_interval
from training.engine.organs import SCANS, Contrast, Seen, contrasts, last_seen, organ_lines, organ_log
from training.engine.validate import PairScores, auc_by_organ
from training.objectives.base import Features, Organs, Texts
from training.objectives.ctglip import candidates, known_rows, within_term

from .phantoms import config_of, start

CLASSES = Classes(("kidney", "liver"), (("kidney", "normal"), ("liver", "normal"), ("liver", "cyst")))


def seen_of(vectors: torch.Tensor, organ: list[int], states: list[list[int]], scale: float = 2.0) -> Seen:
    """Organs against one dictionary sentence a class."""
    n = len(organ)
    organs = Organs(
        vectors,
        torch.tensor(organ),
        torch.arange(n),
        torch.tensor(states, dtype=torch.bool),
        torch.full((n,), -1),
    )
    dictionary = torch.eye(3)
    texts = Texts(
        names=torch.eye(3)[:2],
        dictionary=dictionary,
        dictionary_class=torch.arange(3),
        class_organ=CLASSES.class_organ,
        class_normal=CLASSES.class_normal,
        organs=torch.zeros(0, 3),
    )
    return Seen(organs, texts, torch.tensor(scale))


def test_a_contrast_by_hand():
    """Two livers, one with a cyst, against "normal" and "cyst" of the liver; a kidney has nothing to tell apart."""
    a, b = [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]
    seen = seen_of(torch.tensor([a, b, [1.0, 0.0, 0.0]]), [1, 1, 0], [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    found = contrasts([seen], CLASSES)
    assert set(found) == {"liver"}
    rows = [math.log(math.exp(2 * 1.0) + math.exp(0)) - 2, math.log(math.exp(1.2) + math.exp(1.6)) - 1.6]
    assert found["liver"].loss == pytest.approx(sum(rows) / 2, abs=1e-6)
    assert (found["liver"].rows, found["liver"].positives, found["liver"].candidates) == (2, 1.0, 2.0)
    assert found["liver"].chance == pytest.approx(math.log(2))
    twice = contrasts([seen, seen_of(torch.tensor([b]), [1], [[0, 1, 0]])], CLASSES)["liver"]
    assert twice.rows == 3  # a mean over rows, not over steps
    assert twice.loss == pytest.approx((sum(rows) + math.log(math.exp(1.2) + math.exp(1.6)) - 1.2) / 3, abs=1e-6)


@pytest.mark.parametrize("method", ["ctglip", "ours", "fvlm", "t3d", "clip"])
def test_what_a_step_saw_comes_to_the_contrast_within_organs(method):
    run = start(config_of(method))
    run.learner.train()
    loop.advance(run, batch_of(run, 0))
    if run.learner.needs.organs:
        (seen,) = run.seen
        assert not seen.organs.vectors.requires_grad and not seen.texts.dictionary.requires_grad
        features = Features(seen.organs)
        rows, texts = known_rows(features), candidates(features, seen.texts)
        within = within_term(rows, texts, seen.scale)
        found = contrasts(run.seen, run.classes)
        total = sum(each.rows for each in found.values())
        assert sum(e.rows * e.loss for e in found.values()) / total == pytest.approx(float(within.value), abs=1e-5)
        assert sum(e.rows * e.chance for e in found.values()) / total == pytest.approx(within.chance, abs=1e-5)
        assert all(1 <= e.positives < e.candidates for e in found.values())
    else:
        assert not run.seen and not contrasts(run.seen, run.classes)


def test_as_many_steps_are_kept_as_hold_some_scans():
    assert last_seen(8).maxlen == SCANS // 8 and last_seen(10 * SCANS).maxlen == 1


def pair(key: str, scores: list[float], present: list[int]) -> PairScores:
    return PairScores(key, np.array(scores, float), np.array(present, bool), np.arange(len(scores)))


def test_the_auc_of_an_organ_is_the_mean_over_its_abnormalities():
    rng = np.random.default_rng(0)
    truth = np.arange(40) % 2
    weak = pair("liver/cyst", list(truth + rng.normal(0, 2, 40)), list(truth))
    strong = pair("liver/steatosis", list(truth + rng.normal(0, 0.3, 40)), list(truth[::-1] * 0 + truth))
    alone = auc_by_organ([weak])["liver"]
    assert alone == auc_with_interval(weak.scores, weak.present, weak.scan)
    both = auc_by_organ([weak, strong, pair("spleen/cyst", [0.0, 1.0], [1, 1])])
    assert set(both) == {"liver"}  # one state only says nothing of the spleen
    values = [auc_with_interval(p.scores, p.present, p.scan).value for p in (weak, strong)]
    assert both["liver"].value == pytest.approx(np.mean(values))
    assert both["liver"].low < both["liver"].value < both["liver"].high
    assert both["liver"].verdict == "above chance" and both["liver"].positives == 40


def test_few_scans_say_nothing_and_full_marks_are_not_certain():
    few = pair("spleen/cyst", [2.0, 1.0, 0.0, 0.5], [1, 1, 0, 0])
    found = auc_by_organ([few])["spleen"]
    assert (found.verdict, found.value, found.low, found.high) == ("too few to say", 1.0, 0.0, 1.0)
    perfect = pair("spleen/size", [1.0] * 6 + [0.0] * 20, [1] * 6 + [0] * 20)
    mixed = auc_by_organ([few, perfect])["spleen"]  # the one with enough scans counts alone
    assert mixed.value == 1 and mixed.low == pytest.approx(0.025 ** (1 / 6)) and mixed.positives == 6
    guess = pair("liver/cyst", [0.0] * 20, [1, 0] * 10)
    assert auc_by_organ([guess])["liver"].verdict == "not above chance" and auc_by_organ([]) == {}


def test_the_table_has_a_line_an_organ():
    found = {"liver": Contrast(64, 3.25, 12.0, 1.5, 2.25)}
    aucs = {"liver": Interval(0.81, 0.7, 0.9, 12, 28), "spleen": Interval(0.6, 0.0, 1.0, 2, 38, enough=False)}
    head, liver, spleen = organ_lines(found, aucs)
    assert liver.split() == ["liver", "-0.75", "3.2", "of", "12", "64", "0.81", "(0.70-0.90)", "above", "chance"]
    assert spleen.split()[:4] == ["spleen", "-", "-", "0"] and spleen.endswith("too few to say")
    assert "positives" in head
    log = organ_log(found, aucs)
    assert log["liver"]["gain"] == -0.75 and log["liver"]["auc"] == [0.81, 0.7, 0.9]
    assert "gain" not in log["spleen"] and json.loads(json.dumps(log)) == log


def test_the_table_goes_to_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (the extra 'board')")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = start(replace(config_of("ctglip", tmp_path, steps=10), validate_every=5))

    def validate(run: loop.Run):
        found = contrasts(run.seen, run.classes)
        assert found
        aucs = {"liver": Interval(0.81, 0.7, 0.9, 12, 28)}
        return {"mean_auc": 0.7, "organs": organ_log(found, aucs)}

    loop.train(run, validate)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"validation AUC", "validation AUC/liver", "loss minus chance/liver", "positives a row/liver"} <= tags
    (event,) = events.Scalars("validation AUC/liver")
    assert event.step == 5 and event.value == pytest.approx(0.81)
    written = {p.name for p in (tmp_path / "tensorboard").iterdir() if p.is_dir()}
    assert {"organ_loss", "organ_chance"} <= written  # of a step's terms, two curves in one picture
