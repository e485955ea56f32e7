"""Random numbers as pure functions of what they are for, so that a resumed run draws the same."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def derived_seed(*what: object) -> int:
    """63-bit seed from any values with a stable ``repr``, such as (seed, "crop", step)."""
    return int.from_bytes(hashlib.blake2b(repr(what).encode(), digest_size=8).digest(), "little") >> 1


def generator(*what: object) -> np.random.Generator:
    """A generator seeded by :func:`derived_seed`."""
    return np.random.default_rng(derived_seed(*what))


def scans_of_step(seed: int, step: int, scans: int, batch: int, *, twins: bool = False) -> list[int]:
    """Which scans a step trains on: a new permutation every epoch, a pure function of (seed, step).

    Of ``twins``, scans 2k and 2k + 1 come one after the other.
    """
    if twins:
        pairs = scans_of_step(seed, step, scans // 2, batch // 2)
        return [2 * pair + which for pair in pairs for which in (0, 1)]
    picks: list[int] = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, scans)
        picks.append(int(_order(seed, epoch, scans)[place]))
    return picks


def is_whole_step(step: int, every: int) -> bool:
    """Whether a step, counted from 0, is of whole volumes where every so many-th is; none is where that is 0."""
    return every > 0 and (step + 1) % every == 0


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, scans: int) -> NDArray[np.int64]:
    return generator(seed, "epoch", epoch).permutation(scans)
