"""The losses against by-hand computations."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from training.objectives import base
from training.objectives.contrast import chance_level, soft_cross_entropy, symmetric_contrast
from training.objectives.ctglip import CtGlip, OrganRows, Texts


def by_hand(logits, targets):
    """Plain Python: no shared code with what is tested."""
    total, rows = 0.0, 0
    for line, wanted in zip(logits.tolist(), targets.tolist(), strict=True):
        if sum(wanted) == 0:
            continue
        normaliser = sum(math.exp(v) for v in line if v > -math.inf)
        total -= sum(w / sum(wanted) * (v - math.log(normaliser)) for v, w in zip(line, wanted, strict=True) if w)
        rows += 1
    return total / rows if rows else 0.0


def test_soft_cross_entropy_by_hand():
    torch.manual_seed(0)
    logits = torch.randn(5, 7)
    logits[2, 3] = -math.inf
    targets = torch.tensor(
        [[1, 0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 2], [0] * 7, [1] * 7]
    ).float()
    assert soft_cross_entropy(logits, targets).item() == pytest.approx(by_hand(logits, targets), abs=1e-5)


def test_one_hot_targets_are_plain_infonce():
    torch.manual_seed(0)
    logits = torch.randn(6, 6)
    expected = 0.5 * (F.cross_entropy(logits, torch.arange(6)) + F.cross_entropy(logits.T, torch.arange(6)))
    torch.testing.assert_close(symmetric_contrast(logits, torch.eye(6)), expected)


def test_no_positive_gives_zero_with_a_gradient():
    logits = torch.randn(3, 4, requires_grad=True)
    loss = soft_cross_entropy(logits, torch.zeros(3, 4))
    loss.backward()
    assert loss.item() == 0 and torch.equal(logits.grad, torch.zeros(3, 4))
    masked = torch.full((3, 4), -math.inf)
    assert soft_cross_entropy(masked, torch.zeros(3, 4)).item() == 0
    assert soft_cross_entropy(masked[:0], torch.zeros(0, 4)).item() == 0


def test_masked_candidates_leave_no_nan_in_the_gradient():
    logits = torch.randn(2, 4, requires_grad=True)
    mask = torch.tensor([[True, True, False, False], [False, True, True, False]])
    loss = soft_cross_entropy(logits.masked_fill(~mask, -math.inf), torch.tensor([[1.0, 0, 0, 0], [0, 0, 1.0, 0]]))
    loss.backward()
    assert torch.isfinite(logits.grad).all() and (logits.grad[~mask] == 0).all()


def test_chance_is_the_loss_of_a_guess():
    candidates = torch.tensor([[True] * 4, [True, True, False, False]])
    targets = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    flat = torch.zeros(2, 4).masked_fill(~candidates, -math.inf)
    assert chance_level(candidates, targets) == pytest.approx(soft_cross_entropy(flat, targets).item())


def ctglip(rows, texts, scale, **weights):
    """The method on some rows, with all report sentences in the dictionary."""
    nothing = torch.full_like(rows.organ, -1)
    organs = base.Organs(rows.vectors, rows.organ, torch.zeros_like(rows.organ), rows.states, nothing)
    told = base.Texts(
        texts.names, texts.reports, texts.report_class, texts.class_organ, texts.class_normal, texts.reports[:0]
    )
    return CtGlip(**weights)((base.Features(organs),), (told,), (scale,), 0.0)


NORMAL = torch.tensor([True, False, True, False])


@pytest.fixture
def case():
    """Four organs of two kinds: a normal liver, a liver with a cyst, a normal spleen, a spleen nothing is known of."""
    torch.manual_seed(1)
    unit = lambda *shape: F.normalize(torch.randn(*shape), dim=-1)  # noqa: E731
    # classes: liver normal, liver cyst, spleen normal, splenomegaly
    states = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]).bool()
    rows = OrganRows(unit(4, 8), torch.tensor([0, 0, 1, 1]), states)
    texts = Texts(unit(2, 8), unit(5, 8), torch.tensor([0, 1, 2, 3, 1]), torch.tensor([0, 0, 1, 1]), NORMAL)
    return rows, texts


def test_ctglip_by_hand(case):
    rows, texts = case
    scale = 5.0
    total, terms = ctglip(rows, texts, torch.tensor(scale), within=0.5)

    names = scale * rows.vectors @ texts.names.T
    wanted = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]]).float()
    organ = 0.5 * (by_hand(names, wanted) + by_hand(names.T, wanted.T))

    reports = scale * rows.vectors[:3] @ texts.reports.T  # the fourth organ is unknown
    # the second sentence about the liver cyst (last column) is a positive of the same organ state, not a negative
    wanted = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0]]).float()
    abnormality = 0.5 * (by_hand(reports, wanted) + by_hand(reports.T, wanted.T))

    liver = [0, 1, 4]
    spleen = [2, 3]
    within = (
        by_hand(reports[:2, liver], wanted[:2, liver]) * 2 + by_hand(reports[2:3, spleen], wanted[2:3, spleen])
    ) / 3
    assert terms["organ"].value.item() == pytest.approx(organ, abs=1e-5)
    assert terms["abnormality"].value.item() == pytest.approx(abnormality, abs=1e-5)
    assert terms["within"].value.item() == pytest.approx(within, abs=1e-5)
    assert total.item() == pytest.approx(organ + abnormality + 0.5 * within, abs=1e-5)
    assert terms["abnormality"].chance == pytest.approx(math.log(5))
    assert terms["within"].chance == pytest.approx((2 * math.log(3) + math.log(2)) / 3)


def test_abnormal_organs_can_count_more(case):
    rows, texts = case
    _, terms = ctglip(rows, texts, torch.tensor(5.0), abnormal_weight=4.0)
    reports = 5.0 * rows.vectors @ texts.reports.T
    normal_liver = by_hand(reports[:1, [0, 1, 4]], torch.tensor([[1.0, 0, 0]]))
    cyst = by_hand(reports[1:2, [0, 1, 4]], torch.tensor([[0, 1.0, 1.0]]))
    normal_spleen = by_hand(reports[2:3, [2, 3]], torch.tensor([[1.0, 0]]))
    assert terms["within"].value.item() == pytest.approx((normal_liver + 4 * cyst + normal_spleen) / 6, abs=1e-5)


def test_same_organ_texts_are_not_pushed_apart(case):
    """Two normal livers: neither's sentence is a negative of the other."""
    rows, texts = case
    same = OrganRows(rows.vectors[:2], rows.organ[:2], torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0]]).bool())
    two = Texts(texts.names, texts.reports[:2], torch.tensor([0, 0]), texts.class_organ, NORMAL)
    _, terms = ctglip(same, two, torch.tensor(5.0))
    # both texts are positives of both rows: a perfect match costs the entropy of two texts and no more
    aligned = OrganRows(two.reports[:1].repeat(2, 1), same.organ, same.states)
    equal = Texts(texts.names, two.reports[:1].repeat(2, 1), two.report_class, texts.class_organ, NORMAL)
    assert ctglip(aligned, equal, torch.tensor(50.0))[1]["abnormality"].value.item() == pytest.approx(
        math.log(2), abs=1e-4
    )
    assert terms["within"].value.item() == 0


def test_unknown_organs_do_not_enter_the_abnormality_term(case):
    rows, texts = case
    vectors = rows.vectors.clone().requires_grad_(True)
    _, terms = ctglip(OrganRows(vectors, rows.organ, rows.states), texts, torch.tensor(5.0))
    for name in ("abnormality", "within"):
        (gradient,) = torch.autograd.grad(terms[name].value, vectors, retain_graph=True)
        assert torch.equal(gradient[3], torch.zeros(8)) and gradient[1].abs().sum() > 0
