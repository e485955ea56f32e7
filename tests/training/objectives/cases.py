"""A small step that has every case in it, and contrast in plain NumPy loops that share no code with what is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.objectives.base import Features, Organs, Texts, Views

LIVER, LEFT, RIGHT = range(3)
# classes: liver normal, cyst, fatty; left kidney normal, stone; right kidney normal, stone
CLASS_ORGAN = [0, 0, 0, 1, 1, 2, 2]
CLASS_NORMAL = [True, False, False, True, False, True, False]
ROWS: list[tuple[int, int, set[int], int]] = [  # organ kind, scan, classes, text
    (LIVER, 0, {1}, 0),
    (LEFT, 0, {4}, 1),
    (RIGHT, 0, {5}, 2),
    (LIVER, 1, {0}, 3),
    (LEFT, 1, {3}, 4),
    (RIGHT, 1, {5}, 5),
    (LIVER, 2, {0}, 6),
    (LEFT, 2, {4}, 1),  # the same sentence as of scan 0
    (LIVER, 3, {1, 2}, 7),
    (LEFT, 3, set(), -1),  # not mentioned
    (LIVER, 4, set(), 8),  # mentioned, but cut by the crop
]
UNKNOWN = [9, 10]
SCALE = 4.0


def unit(seed: int, *shape: int) -> Tensor:
    """Random unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def organs(rows: Sequence[tuple[int, int, set[int], int]] = ROWS, seed: int = 0, dim: int = 8) -> Organs:
    """Organs of some rows."""
    states = torch.zeros(len(rows), len(CLASS_ORGAN), dtype=torch.bool)
    for number, (_, _, classes, _) in enumerate(rows):
        states[number, sorted(classes)] = True
    kinds, scans, texts = (torch.tensor([row[i] for row in rows], dtype=torch.int64) for i in (0, 1, 3))
    return Organs(unit(seed, len(rows), dim), kinds, scans, states, texts)


def with_labels(value: Organs) -> Organs:
    """The organs of all rows, told class by class; in scan 1 one of the kidneys has a stone, and not known which."""
    told = value.states.any(1)[:, None] & (torch.tensor(CLASS_ORGAN)[None] == value.organ[:, None])
    one_of = torch.zeros_like(told)
    one_of[4, 4] = one_of[5, 6] = True
    return replace(value, told=told & ~one_of, one_of=one_of)


def texts(seed: int = 100, dim: int = 8) -> Texts:
    """Texts of the step; scans 1 and 2 have the same report."""
    sentences = unit(seed, 9, dim)
    return Texts(
        names=unit(seed + 1, 3, dim),
        dictionary=unit(seed + 2, 7, dim),
        dictionary_class=torch.arange(7),
        class_organ=torch.tensor(CLASS_ORGAN),
        class_normal=torch.tensor(CLASS_NORMAL),
        organs=sentences,
        organs_momentum=F.normalize(sentences + 0.3 * unit(seed + 3, 9, dim), dim=-1),
        whole=unit(seed + 4, 5, dim)[[0, 1, 1, 3, 4]],
        whole_id=torch.tensor([7, 5, 5, 2, 9]),
        organs_id=torch.arange(9) * 1000 + 17,
        mirror=torch.tensor([-1, RIGHT, LEFT]),
        class_kind=torch.tensor([0, 1, 2, 0, 3, 0, 3]),
    )


def views(count: int = 2, seed: int = 200, dim: int = 8) -> Views:
    """Some views of each of five scans, with tokens of different numbers."""
    scan = torch.arange(5).repeat_interleave(count)
    tokens = tuple(torch.randn(4 + n % 3, dim, generator=torch.Generator().manual_seed(n)) for n in range(5 * count))
    return Views(unit(seed, 5 * count, dim), scan, tokens)


def with_gradient(value: Organs) -> Organs:
    """The same organs, as leaves."""
    return replace(value, vectors=value.vectors.clone().requires_grad_())


def features(**changes: object) -> Features:
    """Organs and views."""
    return replace(Features(organs(), views()), **changes)


def cross_entropy(logits: np.ndarray, targets: np.ndarray, weights: Sequence[float] | None = None) -> float:
    """Weighted mean over the rows with a positive."""
    total = norm = 0.0
    for number, (line, wanted) in enumerate(zip(logits, targets, strict=True)):
        if wanted.sum() == 0:
            continue
        weight = 1.0 if weights is None else weights[number]
        log_sum = np.log(sum(np.exp(value) for value in line if value > -np.inf))
        total -= weight * sum(w / wanted.sum() * (v - log_sum) for v, w in zip(line, wanted, strict=True) if w > 0)
        norm += weight
    return total / norm if norm else 0.0


def both_ways(logits: np.ndarray, targets: np.ndarray) -> float:
    """Half each way."""
    return 0.5 * cross_entropy(logits, targets) + 0.5 * cross_entropy(logits.T, targets.T)


def array(value: Tensor) -> np.ndarray:
    """In double precision."""
    return value.detach().double().numpy()


def rows_of(kind: int) -> list[int]:
    """Rows of an organ kind that are mentioned and known."""
    return [n for n, (organ, _, classes, text) in enumerate(ROWS) if organ == kind and classes and text >= 0]


def ill(row: int) -> bool:
    """Whether a row has an abnormality."""
    return any(not CLASS_NORMAL[c] for c in ROWS[row][2])
