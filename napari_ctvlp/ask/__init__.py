"""The questions: rank organs for a query, score abnormalities. Pure functions over a ScanEmbedding."""

from napari_ctvlp.ask.bank import prepare
from napari_ctvlp.ask.export import answers_as_json, write_csv, write_json
from napari_ctvlp.ask.rank import rank_organs
from napari_ctvlp.ask.score import score_abnormalities
from napari_ctvlp.ask.types import AbnormalityScore, Finding, OrganMatch, Ranking

__all__ = [
    "AbnormalityScore",
    "Finding",
    "OrganMatch",
    "Ranking",
    "answers_as_json",
    "prepare",
    "rank_organs",
    "score_abnormalities",
    "write_csv",
    "write_json",
]
