"""One batch over several processes: the rows of all of them, with exact gradients.

Every process gathers the vectors and texts of all and computes the loss of the whole batch, or of its own rows against
all columns. Both give, once gradients are averaged over the processes, the gradient that one process with the whole
batch would get: the backward pass of the gather sums over the processes what each of them wants of a row, which is the
whole gradient times the number of processes, and the averaging divides by it.

The processes may bring different numbers of rows, none included; each has to come to every call, in the same order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .base import Features, Organs, Texts, Views


def processes() -> int:
    """How many processes share a batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: list[int]) -> Tensor:
        ctx.sizes = sizes
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        everyone = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(everyone, padded)
        return torch.cat([each[:size] for each, size in zip(everyone, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        rank = dist.get_rank()
        start = sum(ctx.sizes[:rank])
        return gradient[start : start + ctx.sizes[rank]], None


def gather_rows(rows: Tensor) -> tuple[Tensor, list[int]]:
    """The rows of every process, in the order of their ranks, and how many each brought.

    Parameters
    ----------
    rows : (n, ...) Tensor
        n may differ between processes and be zero; the other axes and the dtype may not.
    """
    if processes() == 1:
        return rows, [len(rows)]
    mine = torch.tensor([len(rows), int(rows.requires_grad)], device=rows.device)
    theirs = [torch.empty_like(mine) for _ in range(processes())]
    dist.all_gather(theirs, mine)
    sizes = [int(each[0]) for each in theirs]
    if max(sizes) == 0:
        return rows, sizes
    if any(int(each[1]) for each in theirs):
        # a process whose own rows need no gradient (it may have none) still has to join the sum in the backward pass
        rows = rows if rows.requires_grad else rows.detach().requires_grad_()
        return _GatherRows.apply(rows, sizes), sizes
    flags = rows.dtype == torch.bool
    with torch.no_grad():
        everyone = _GatherRows.apply(rows.to(torch.uint8) if flags else rows, sizes)
    return everyone.bool() if flags else everyone, sizes


def mean_over_processes(total: Tensor, count: Tensor) -> Tensor:
    """A process's part of a mean, from the sum over its own rows and their number.

    The parts' average over the processes, which is what the loop makes of their gradients, is the sum of all rows over
    the number of all rows. Only the columns may have been gathered, not the rows.
    """
    everyone = count.detach().clone().to(total.dtype)
    if processes() > 1:
        dist.all_reduce(everyone)
    return total * processes() / everyone.clamp_min(1)


def _before(sizes: list[int]) -> int:
    return sum(sizes[: dist.get_rank()]) if processes() > 1 else 0


def _gather_organs(organs: Organs, scans_before: int, text_row: Tensor) -> Organs:
    text = torch.where(organs.text >= 0, text_row[organs.text.clamp_min(0)] if len(text_row) else -1, -1)
    return Organs(
        gather_rows(organs.vectors)[0],
        gather_rows(organs.organ)[0],
        gather_rows(organs.scan + scans_before)[0],
        gather_rows(organs.states)[0],
        gather_rows(text)[0],
        None if organs.told is None else gather_rows(organs.told)[0],
        None if organs.one_of is None else gather_rows(organs.one_of)[0],
    )


def _gather_views(views: Views, scans_before: int, tokens: bool) -> Views:
    vectors, scan = gather_rows(views.vectors)[0], gather_rows(views.scan + scans_before)[0]
    if not tokens:
        return Views(vectors, scan)
    # a process without views does not know how wide a token is
    width = torch.tensor([views.tokens[0].shape[1] if views.tokens else 0], device=views.vectors.device)
    dist.all_reduce(width, dist.ReduceOp.MAX)
    flat = torch.cat(views.tokens) if views.tokens else views.vectors.new_zeros(0, int(width))
    lengths = gather_rows(torch.tensor([len(t) for t in views.tokens], dtype=torch.int64, device=width.device))[0]
    return Views(vectors, scan, gather_rows(flat)[0].split(lengths.tolist()))


def _first_rows(ids: Tensor) -> tuple[Tensor, Tensor]:
    """First place of each distinct number, and for every place which distinct number it holds."""
    distinct, which = torch.unique(ids, return_inverse=True)
    places = torch.arange(len(ids), device=ids.device)
    first = places.new_full((len(distinct),), len(ids)).scatter_reduce(0, which, places, "amin")
    return first, which


def _gather_texts(texts: Texts) -> tuple[Texts, Tensor]:
    """Texts of all processes, equal strings once, and the new row of each string of this process."""
    if texts.organs_id is None:
        raise ValueError("several processes need Texts.organs_id to tell which sentences are the same")
    ids, sizes = gather_rows(texts.organs_id)
    first, which = _first_rows(ids)
    before = _before(sizes)
    row = which[before : before + len(texts.organs)]
    changes: dict[str, Tensor] = {"organs": gather_rows(texts.organs)[0][first], "organs_id": ids[first]}
    if texts.organs_momentum is not None:
        changes["organs_momentum"] = gather_rows(texts.organs_momentum)[0][first]
    if texts.whole is not None and texts.whole_id is not None:
        changes["whole"], changes["whole_id"] = gather_rows(texts.whole)[0], gather_rows(texts.whole_id)[0]
    if texts.hard is not None and texts.hard_of is not None:
        # of a sentence that several processes have, those of the first
        kept = first[row[texts.hard_of]] == texts.hard_of + before
        changes["hard"] = gather_rows(texts.hard[kept])[0]
        changes["hard_of"] = gather_rows(row[texts.hard_of[kept]])[0]
    return replace(texts, **changes), row


def gather_step(
    features: tuple[Features, ...], texts: tuple[Texts, ...], scans: int, *, tokens: bool = False
) -> tuple[tuple[Features, ...], tuple[Texts, ...]]:
    """A step's features and texts of all processes; as they are where there is one process only.

    Names and dictionary have to be the same in every process and are not gathered.

    Parameters
    ----------
    features, texts : tuple
        As an objective takes them. What is absent (``None``) is absent in every process.
    scans : int
        Scans of this process in the step.
    tokens : bool
        Gather the tokens of the views too.
    """
    if processes() == 1:
        return features, texts
    some = next(t for t in texts).names
    counts = gather_rows(torch.tensor([scans], device=some.device))[0].tolist()
    before = _before(counts)
    all_features, all_texts = [], []
    for feature, text in zip(features, texts, strict=True):
        gathered, row = _gather_texts(text)
        organs = None if feature.organs is None else _gather_organs(feature.organs, before, row)
        views = None if feature.views is None else _gather_views(feature.views, before, tokens)
        all_features.append(Features(organs, views))
        all_texts.append(gathered)
    return tuple(all_features), tuple(all_texts)
