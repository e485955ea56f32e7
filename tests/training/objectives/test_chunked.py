"""The chunked losses give the value and the gradients of the full matrix."""

from __future__ import annotations

import math

import pytest
import torch

from training.objectives.contrast import (
    chunked_contrast,
    chunked_sigmoid_contrast,
    chunked_soft_cross_entropy,
    holds,
    same,
    sigmoid_contrast,
    soft_cross_entropy,
    symmetric_contrast,
)

from .cases import unit


def leaves(n, m):
    vectors = unit(0, n, 16).requires_grad_(), unit(1, m, 16).requires_grad_()
    return *vectors, torch.tensor(9.0, requires_grad=True), torch.tensor(-3.0, requires_grad=True)


def compare(full, chunked, inputs):
    torch.testing.assert_close(chunked, full, rtol=1e-5, atol=1e-6)
    wanted = torch.autograd.grad(full, inputs)
    found = torch.autograd.grad(chunked, inputs)
    for a, b in zip(wanted, found, strict=True):
        assert (a - b).norm() <= 1e-5 * a.norm()


@pytest.mark.parametrize("chunk", [1, 64, 1000])
def test_cross_entropy_of_numbers(chunk):
    rows, columns, scale, _ = leaves(200, 150)
    generator = torch.Generator().manual_seed(0)
    row_key, column_key = torch.randint(60, (200,), generator=generator), torch.randint(50, (150,), generator=generator)
    targets = (row_key[:, None] == column_key[None]).float()
    assert (targets.sum(1) == 0).any() and (targets.sum(1) > 1).any()
    inputs = (rows, columns, scale)
    compare(
        soft_cross_entropy(scale * rows @ columns.T, targets),
        chunked_soft_cross_entropy(*inputs, row_key, column_key, chunk=chunk),
        inputs,
    )
    compare(
        symmetric_contrast(scale * rows @ columns.T, targets),
        chunked_contrast(*inputs, row_key, column_key, same, chunk=chunk),
        inputs,
    )


def test_cross_entropy_of_states():
    rows, columns, scale, _ = leaves(90, 40)
    generator = torch.Generator().manual_seed(0)
    states = torch.rand(90, 20, generator=generator) < 0.1
    number = torch.randint(20, (40,), generator=generator)
    targets = states[:, number].float()
    inputs = (rows, columns, scale)
    compare(
        symmetric_contrast(scale * rows @ columns.T, targets),
        chunked_contrast(*inputs, states, number, holds, chunk=16),
        inputs,
    )


def test_sigmoid():
    inputs = leaves(70, 50)
    rows, columns, scale, bias = inputs
    row_key, column_key = torch.arange(70) % 30, torch.arange(50) % 40
    positive = row_key[:, None] == column_key[None]
    full = sigmoid_contrast(scale * rows @ columns.T + bias, positive)
    compare(full, chunked_sigmoid_contrast(*inputs, row_key, column_key, chunk=16), inputs)
    by_hand = sum(
        math.log1p(math.exp(-logit if yes else logit))
        for line, truth in zip((scale * rows @ columns.T + bias).tolist(), positive.tolist(), strict=True)
        for logit, yes in zip(line, truth, strict=True)
    )
    assert full.item() == pytest.approx(by_hand / 70, rel=1e-5)


def test_two_thousand_pairs():
    rows, columns, scale, _ = leaves(2000, 2000)
    key = torch.arange(2000) % 1900
    targets = (key[:, None] == key[None]).float()
    inputs = (rows, columns, scale)
    compare(symmetric_contrast(scale * rows @ columns.T, targets), chunked_contrast(*inputs, key, key), inputs)


def test_nothing_gives_zero_with_a_gradient():
    rows, columns, scale, bias = leaves(0, 5)
    key = torch.zeros(0, dtype=torch.int64)
    for loss in (
        chunked_contrast(rows, columns, scale, key, torch.arange(5)),
        chunked_sigmoid_contrast(rows, columns, scale, bias, key, torch.arange(5)),
    ):
        assert loss.item() == 0
        assert torch.equal(torch.autograd.grad(loss, columns)[0], torch.zeros(5, 16))
