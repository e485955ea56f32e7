"""Every text of a run, embedded once: names, normal and abnormal sentences, sentences of the scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.text import MAX_TOKENS, TextTower

from .records import AT_LEAST, OrganRecord

Bank = Callable[[Sequence[str]], Tensor]
"""(n, width) sentence vectors of texts."""
NORMAL = "normal"
HELD_OUT_NAMES = ("a CT image showing the {organ}", "anatomy: {organ}")
"""Wordings of an organ's name that training never sees; validation asks with them."""


@dataclass(frozen=True)
class Classes:
    """The classes of a run: organ kinds, and per organ kind "normal" and each abnormality it can have."""

    organs: tuple[str, ...]
    states: tuple[tuple[str, str], ...]

    @property
    def class_organ(self) -> Tensor:
        """(classes,) organ number of each class."""
        number = {organ: i for i, organ in enumerate(self.organs)}
        return torch.tensor([number[organ] for organ, _ in self.states])

    @property
    def class_normal(self) -> Tensor:
        """(classes,) whether a class says that the organ is normal."""
        return torch.tensor([state == NORMAL for _, state in self.states])

    @property
    def class_kind(self) -> Tensor:
        """(classes,) number of each class's state: an abnormality has one number in all organs."""
        number: dict[str, int] = {}
        return torch.tensor([number.setdefault(state, len(number)) for _, state in self.states])


def classes_of(records: Iterable[OrganRecord], *, at_least: int = AT_LEAST) -> Classes:
    """Classes that occur in a run: organs seen at all, abnormalities seen ``at_least`` times in that organ."""
    records = list(records)
    names = tuple(sorted({record.organ for record in records}))
    states = [(organ, NORMAL) for organ in names]
    states += sorted(key for key, count in pair_counts(records).items() if count >= at_least)
    return Classes(names, tuple(states))


def pair_counts(records: Iterable[OrganRecord]) -> Counter[tuple[str, str]]:
    """How often each organ has each abnormality, or is one of several of which one has it."""
    return Counter((record.organ, state) for record in records for state in (*record.abnormalities, *record.one_of))


def told_classes(records: Iterable[OrganRecord], at_least: int, method: str, *, of_organs: bool) -> str:
    """How many abnormalities of organs are classes, and in a sentence what it means where none is.

    Parameters
    ----------
    records : iterable of OrganRecord
    at_least : int
        As of `classes_of`.
    method : str
    of_organs : bool
        Whether the method looks at organs.
    """
    counts = pair_counts(records).values()
    enough = sum(count >= at_least for count in counts)
    said = (
        f"{enough} abnormalities of organs in at least {at_least} training scans each, {len(counts) - enough} in fewer"
    )
    if enough:
        return f"{said} (--at-least)."
    learned = f"--method {method} learns none of them and none" if of_organs else "none of them"
    return (
        f"warning: {said}: {learned} is validated, calibrated or named on the card; lower --at-least, or prepare more "
        "studies or such whose reports name abnormalities."
    )


def classes_of_world() -> Classes:
    """Every organ and abnormality that the synthetic world knows: for scans that are made when they are asked for."""
    from training.world.findings.catalogue import SHOWN
    from training.world.materials import ID

    names = tuple(sorted(ID))
    states = [(organ, NORMAL) for organ in names]
    states += sorted((organ, slug) for organ, slugs in SHOWN.items() for slug in slugs)
    return Classes(names, tuple(states))


def identity_of(tower: TextTower) -> str:
    """What a tower's vectors depend on."""
    weights = digest(tower.model.state_dict())
    usual = (tower.pooling, tower.max_tokens) == ("mean", MAX_TOKENS)
    return weights if usual else f"{weights}-{tower.pooling}-{tower.max_tokens}"


class TextBank:
    """Sentence vectors by text, for a sentence encoder that does not change.

    Parameters
    ----------
    tower : TextTower
        The sentence encoder.
    texts : iterable of str
        Texts of the run that are known beforehand; repeats cost nothing, others are embedded when asked for.
    cache : Path, optional
        File that keeps the vectors for the next run with the same sentence encoder.
    """

    def __init__(self, tower: TextTower, texts: Iterable[str], cache: Path | None = None) -> None:
        self.tower = tower
        self.device = next(tower.parameters()).device
        self.row: dict[str, int] = {}
        self.vectors = torch.zeros(0, tower.width, device=self.device)
        identity = "" if cache is None else identity_of(tower)
        if cache is not None and cache.is_file():
            kept = torch.load(cache, weights_only=True)
            if kept["tower"] == identity:
                self.row = {text: i for i, text in enumerate(kept["texts"])}
                self.vectors = kept["vectors"].to(self.device)
        if self._embed(texts, progress=True) and cache is not None:
            temporary = cache.with_suffix(".tmp")
            torch.save({"tower": identity, "texts": list(self.row), "vectors": self._known.cpu()}, temporary)
            temporary.replace(cache)

    def _embed(self, texts: Iterable[str], *, progress: bool = False) -> bool:
        new = sorted(set(texts) - self.row.keys(), key=lambda t: (len(t), t))  # like lengths together: little padding
        if not new:
            return False
        starts = tqdm(range(0, len(new), 256), desc="texts", unit="batch", disable=not progress)
        parts = [self.tower(new[k : k + 256]).to(self.device) for k in starts]
        before, after = len(self.row), len(self.row) + len(new)
        self.row |= {text: before + i for i, text in enumerate(new)}
        if after > len(self.vectors):
            # with room for as many more, so that texts of single steps do not copy all that were before them
            room = self.vectors.new_zeros(2 * after - before if before else after, self.tower.width)
            room[:before] = self.vectors[:before]
            self.vectors = room
        self.vectors[before:after] = torch.cat(parts)
        return True

    @property
    def _known(self) -> Tensor:
        return self.vectors[: len(self.row)]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(n, width) sentence vectors."""
        self._embed(texts)
        rows = torch.tensor([self.row[text] for text in texts], dtype=torch.int64)
        return self.vectors.index_select(0, rows.to(self.device))
