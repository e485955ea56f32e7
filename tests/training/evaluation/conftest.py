"""One thread, and simulated questions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from training.evaluation.cases import Question


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run on one thread and give the others back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def simulated(
    name: str, count: int, seed: int, *, slope: float = 1.0, offset: float = 0.0, organ: str = "liver"
) -> Question:
    """Cases whose state is drawn from ``sigmoid(slope * score + offset)``, one per patient, three prompts."""
    rng = np.random.default_rng(seed)
    single = rng.normal(0, 2, (count, 1)) + rng.normal(0, 0.5, (count, 3))
    scores = single.mean(1)
    present = rng.random(count) < 1 / (1 + np.exp(-(slope * scores + offset)))
    return Question(name, np.array([f"{organ}/{name}"] * count), scores, single, present, np.arange(count))
