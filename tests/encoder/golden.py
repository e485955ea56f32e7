"""``python -m tests.encoder.golden``: write what the shipped encoder answers on the built-in sample.

To be run when another encoder is shipped, and at no other time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.encoder import ScanEmbedding, load_encoder
from napari_ctvlp.sample import load_sample

FILE = Path(__file__).with_name("golden.json")
QUESTIONS = (
    "stone in the left kidney",
    "where bile is stored",
    "enlarged spleen",
    "no gallstones",
    "L3",
    "muscles along the spine",
    "brain",
    "banana",
)


def answers(embedding: ScanEmbedding) -> dict[str, Any]:
    """Questions with their first three organs and their finding, and every score."""
    found: dict[str, Any] = {"revision": embedding.encoder.card.revision, "questions": {}, "scores": {}}
    for question in QUESTIONS:
        ranking = rank_organs(embedding, question)
        finding = ranking.finding
        found["questions"][question] = {
            "matched": ranking.matched,
            "organs": {m.organ: round(m.score, 5) for m in ranking.organs[:3]},
            "finding": None if finding is None else [finding.abnormality, finding.organ, finding.status],
            "probability": None if finding is None else finding.probability,
        }
    for row in score_abnormalities(embedding):
        if row.probability is not None:
            found["scores"][f"{row.organ}/{row.abnormality}"] = [
                round(v, 5) for v in (row.probability, row.low or 0.0, row.high or 0.0)
            ]
    return found


def main() -> None:
    """Write the file."""
    embedding = load_encoder("starter", device="cpu").encode_scan(*load_sample())
    FILE.write_text(json.dumps(answers(embedding), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
