"""Organs recognised by sight alone, with names that training never read."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_ctvlp.anatomy import display_name
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.encoder.contract import ScanEncoder
from training.data.texts import HELD_OUT_NAMES

from .cases import HeldOut


def recognition(encoder: ScanEncoder, data: HeldOut) -> dict[str, Any]:
    """Share of organs whose nearest name is their own (top-1, top-3), overall and by organ, beside chance."""
    organs = encoder.card.organs
    texts = [p.format(organ=display_name(o)) for o in organs for p in HELD_OUT_NAMES]
    names = bank_of(encoder).space(texts).reshape(len(organs), len(HELD_OUT_NAMES), -1).mean(1)
    number = {o: i for i, o in enumerate(organs)}
    truth = np.array([number.get(r.organ, -1) for r in data.records])
    known = truth >= 0
    if not known.any():
        return {"organ_accuracy": None, "organ_top3": None, "organ_chance": None, "organ_kinds": 0, "by_organ": {}}
    truth = truth[known]
    similarity = data.vectors[known] @ names.T
    own = similarity[np.arange(len(truth)), truth]
    place = (similarity > own[:, None]).sum(1)
    rows = {o: truth == i for o, i in number.items()}
    by_organ = {o: round(float((place[r] == 0).mean()), 3) for o, r in rows.items() if r.any()}
    return {
        "organ_accuracy": round(float((place == 0).mean()), 4),
        "organ_top3": round(float((place < 3).mean()), 4),
        "organ_chance": round(1 / len(organs), 4),
        "organ_kinds": len(organs),
        "by_organ": by_organ,
    }
