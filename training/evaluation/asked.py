"""Free text: the questions of three files, answered by names and sight together and by sight alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from napari_ctvlp.ask import rank_organs
from napari_ctvlp.encoder.contract import ScanEmbedding

NOTHING = "not in scan"
FIRST, SECOND, THIRD = "queries", "queries_second", "queries_third"
"""Files of questions by three writers; the second and the third were written after the answers to the first had been
looked at, by writers who had seen none of it."""


def queries(name: str = FIRST) -> dict[str, dict[str, tuple[str, ...]]]:
    """Kind to question to the organs of which any is a right first answer; groups are those of the first file."""
    read = {
        file: yaml.safe_load(files(__package__).joinpath(f"{file}.yaml").read_text(encoding="utf-8"))
        for file in {FIRST, name}
    }
    groups, table = read[FIRST]["groups"], read[name]
    return {
        kind: {str(q): tuple(o for name in organs for o in groups.get(name, [name])) for q, organs in found.items()}
        for kind, found in table["questions"].items()
    }


def asked(embedding: ScanEmbedding, name: str = FIRST) -> dict[str, Any]:
    """Share of right first answers by kind of question; questions that nothing answers are right where it is said so.

    ``chance`` is what a random order of the organs would give.
    """
    rows: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {"fused": [], "sight": [], "nothing": []}
    for kind, found in queries(name).items():
        fused, sight, chance = [], [], []
        for question, organs in found.items():
            answer = rank_organs(embedding, question)
            if kind == NOTHING:
                fused.append(not answer.matched)
                if answer.matched:
                    wrong["nothing"].append(question)
                continue
            first = rank_organs(embedding, question, use_names=False).organs[0].organ
            fused.append(answer.matched and answer.organs[0].organ in organs)
            sight.append(first in organs)
            chance.append(len(set(organs) & set(embedding.organs)) / len(embedding.organs))
            if not fused[-1]:
                wrong["fused"].append(f"{question}: {answer.organs[0].organ if answer.matched else 'nothing'}")
            if not sight[-1]:
                wrong["sight"].append(f"{question}: {first}")
        rows[kind] = {"asked": len(found), "fused": int(sum(fused)), "sight": int(sum(sight)) if sight else None}
        rows[kind]["chance"] = round(float(np.mean(chance)), 3) if chance else None
    of_organs = [row for kind, row in rows.items() if kind != NOTHING]
    count = sum(row["asked"] for row in of_organs)
    return {
        "by_kind": rows,
        "questions": count,
        "fused": round(sum(row["fused"] for row in of_organs) / count, 4),
        "sight": round(sum(row["sight"] for row in of_organs) / count, 4),
        "chance": round(sum(row["chance"] * row["asked"] for row in of_organs) / count, 4),
        "nothing": round(rows[NOTHING]["fused"] / rows[NOTHING]["asked"], 4),
        "wrong": wrong,
    }
