"""Alignment of views under a report's attention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.objectives.base import Features, Views
from training.objectives.t3d import T3d, TextPooling

from . import cases
from .cases import SCALE, array


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


def pooled_by_hand(pooling, tokens, report):
    """One view under one report."""
    query, key, value = (array(layer.weight) for layer in (pooling.query, pooling.key, pooling.value))
    asked, tokens = query @ array(report), array(tokens)
    width = len(asked) // pooling.heads
    parts = []
    for head in range(pooling.heads):
        own = slice(head * width, (head + 1) * width)
        weights = softmax((tokens @ key.T)[:, own] @ asked[own] / np.sqrt(width))
        parts.append(weights @ (tokens @ value.T)[:, own])
    z = np.concatenate(parts)
    return z / np.linalg.norm(z)


@pytest.mark.parametrize("count", [2, 3])
def test_by_hand(count):
    torch.manual_seed(0)
    method, views, texts = T3d(8, views=count), cases.views(count), cases.texts()
    loss, terms = method((Features(views=views),), (texts,), (torch.tensor(SCALE),), 0.0)
    scan, number = views.scan.tolist(), texts.whole_id.tolist()
    losses, guesses = [], []
    for m, i in enumerate(scan):
        z = [pooled_by_hand(method.pooling, tokens, texts.whole[i]) for tokens in views.tokens]
        # a view of another scan with the same report (scans 1 and 2) is no candidate
        others = [n for n, j in enumerate(scan) if n != m and (j == i or number[j] != number[i])]
        probability = softmax(np.array([SCALE * z[m] @ z[n] for n in others]))
        losses.append(-np.mean([np.log(p) for p, n in zip(probability, others, strict=True) if scan[n] == i]))
        guesses.append(np.log(len(others)))
    assert terms["views"].value.item() == pytest.approx(np.mean(losses), abs=1e-5)
    assert terms["views"].chance == pytest.approx(np.mean(guesses))
    assert loss.item() == pytest.approx((terms["whole"].value + terms["views"].value).item())


def train(method, tokens_of, steps=60):
    """Last loss of the views' alignment when only the attention is trained, on scans that ``tokens_of`` makes."""
    texts = replace(cases.texts(), whole=cases.unit(4, 5, 8), whole_id=torch.arange(5))
    optimizer = torch.optim.Adam(method.parameters(), lr=0.03)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        scan = torch.arange(5).repeat_interleave(2)
        views = Views(cases.unit(1, 10, 8), scan, tuple(tokens_of(int(s), generator) for s in scan))
        _, terms = method((Features(views=views),), (texts,), (torch.tensor(10.0),), 0.0)
        optimizer.zero_grad()
        terms["views"].value.backward()
        optimizer.step()
    return terms["views"].value.item() - terms["views"].chance


def test_it_cannot_be_solved_by_leaking_the_text():
    """Where the tokens say nothing of the scan, the texts, of which every scan has its own, do not help to guess."""
    torch.manual_seed(0)
    assert train(T3d(8), lambda scan, generator: torch.randn(6, 8, generator=generator)) > -0.1
    same = torch.randn(6, 8)
    assert abs(train(T3d(8), lambda scan, generator: same)) < 1e-4


def test_it_can_be_solved_where_the_tokens_show_the_scan():
    """And the check above can fail: one token in six that is the scan's own is found."""
    torch.manual_seed(0)
    own = cases.unit(9, 5, 8) * 4

    def tokens(scan, generator):
        return torch.cat([own[scan][None], torch.randn(5, 8, generator=generator)])

    assert train(T3d(8), tokens) < -1.0


def test_no_gradient_reaches_the_text_through_the_views():
    texts = cases.texts()
    texts = replace(texts, whole=texts.whole.clone().requires_grad_())
    views = cases.views()
    views = replace(views, tokens=tuple(t.requires_grad_() for t in views.tokens))
    _, terms = T3d(8)((Features(views=views),), (texts,), (torch.tensor(SCALE),), 0.0)
    gradients = torch.autograd.grad(terms["views"].value, [texts.whole, *views.tokens], allow_unused=True)
    assert gradients[0] is None and all(g.abs().sum() > 0 for g in gradients[1:])


def test_padding_of_short_views_is_not_looked_at():
    pooling, views, texts = TextPooling(8), cases.views(), cases.texts()
    together = pooling(views.tokens, texts.whole)
    alone = torch.cat([pooling((tokens,), texts.whole) for tokens in views.tokens])
    torch.testing.assert_close(together, alone)


def test_one_view_is_refused():
    with pytest.raises(ValueError, match="two"):
        T3d(8, views=1)
    with pytest.raises(ValueError, match="heads"):
        TextPooling(10)
