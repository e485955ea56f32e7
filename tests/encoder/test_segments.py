"""Reductions within segments: in chunks, as a GPU does them, as they are row by row."""

from __future__ import annotations

import pytest
import torch

from napari_ctvlp.encoder.pooling import organ_densities
from napari_ctvlp.encoder.segments import CHUNK, Segments
from napari_ctvlp.encoder.tokens import LABELS, _finest, index_organs


@pytest.mark.parametrize("how", ["summed", "largest", "smallest"])
def test_chunks_give_what_rows_give_and_the_same_gradient(how):
    torch.manual_seed(0)
    segment = torch.randint(0, 12, (20 * CHUNK,)).sort().values
    segment = segment[segment != 7]  # the last two have no rows either
    values, found = torch.randn(len(segment), 3, dtype=torch.float64), []
    for chunked in (False, True):
        rows = values.clone().requires_grad_()
        result = getattr(Segments.of(segment, 14, chunked=chunked), how)(rows)
        result.square().sum().backward()
        found.append((result, rows.grad))
    (plain, gradient), (chunks, other) = found
    assert torch.allclose(plain, chunks) and torch.allclose(gradient, other)
    assert (chunks[[7, 12, 13]] == 0).all() and chunks[:7].ne(0).all()


def test_no_rows_at_all():
    none = Segments.of(torch.zeros(0, dtype=torch.int64), 3, chunked=True)
    assert torch.equal(none.summed(torch.zeros(0, 2)), torch.zeros(3, 2))
    assert torch.equal(none.largest(torch.zeros(0, 2), -1.0), torch.full((3, 2), -1.0))


@pytest.fixture
def labels():
    """Three scans of boxes, of which the last is empty."""
    made = torch.zeros(3, 21, 30, 27, dtype=torch.uint8)
    for number in range(2):
        made[number, 2 + number : 15, 4:20, 5:25] = 3
        made[number, 10:18, 10:28, 3:12] = 200
        made[number, :4] = 7
    return made


def test_tokens_of_all_scans_at_once_are_those_of_each(labels):
    each = [_finest(one[None], 2) for one in labels]
    label, token, count = _finest(labels, 2)
    assert torch.equal(label, torch.cat([own + n * LABELS for n, (own, _, _) in enumerate(each)]))
    assert torch.equal(token, torch.cat([own for _, own, _ in each]))
    assert torch.equal(count, torch.cat([own for _, _, own in each])) and int(count.sum()) == int((labels > 0).sum())


def test_densities_of_all_scans_at_once_are_those_of_each(labels):
    image = torch.rand(3, 2, *labels.shape[1:], generator=torch.Generator().manual_seed(0)) * 2 - 1
    index = index_organs(labels, [(11, 15, 14)], [2], 3.0)
    one, all_ = (organ_densities(image, labels, index, together=n) for n in (1, 3))
    assert torch.equal(one, all_) and len(one) == 6
