"""The rows of a comparison: a method, its backbone, and what its answers are read from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.engine.sources import EVIDENCE, with_evidence


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes
    ----------
    title : str
        In the table.
    method : str
        Of ``training/objectives``.
    backbone, pooling : str
        Of ``ModelConfig``.
    evidence, lesions : float
        Of ``OptimConfig``.
    """

    title: str
    method: str
    backbone: Literal["cnn", "vit"] = "cnn"
    pooling: Literal["attention", "mean"] = "attention"
    evidence: float = 0.0
    lesions: float = 0.0

    def of(self, config: PretrainConfig) -> PretrainConfig:
        """A run's configuration for this row."""
        model = replace(config.model, backbone=self.backbone, pooling=self.pooling)
        optim = replace(config.optim, evidence=self.evidence, lesions=self.lesions)
        return with_evidence(replace(config, method=self.method, model=model, optim=optim))


ROWS = {
    "supervised": Row("supervised heads on organ features", "supervised"),
    "clip": Row("CLIP, volume and report", "clip"),
    "t3d": Row("T3D", "t3d"),
    "ctglip": Row("CT-GLIP, CNN", "ctglip-paper"),
    "ctglip-vit": Row("CT-GLIP, ViT", "ctglip-paper", backbone="vit"),
    "fvlm-no-abnormal": Row("fVLM, normal corrected", "fvlm-no-abnormal"),
    "fvlm-no-normal": Row("fVLM, abnormal corrected", "fvlm-no-normal"),
    "fvlm": Row("fVLM, both corrected", "fvlm"),
    "fvlm-coteach": Row("fVLM, co-teaching", "fvlm-coteach"),
    "ours": Row("ours", "ours", evidence=EVIDENCE["ours"]),
}
"""In the order of the table."""
ABLATIONS = {
    "ctglip-mean": Row("CT-GLIP, CNN, mean pooling", "ctglip-paper", pooling="mean"),
    "fvlm-plain": Row("fVLM, no correction", "fvlm-plain"),
    "ours-mean": Row("ours, mean pooling, no evidence", "ours", pooling="mean"),
    "ours-plain": Row("ours, no evidence", "ours"),
    "ours-lesions": Row("ours, told where lesions are", "ours", evidence=EVIDENCE["ours"], lesions=EVIDENCE["ours"]),
}
"""Trained when they are asked for by name; they stand below the others."""
READ_WHOLE = ("clip", "siglip", "t3d")
"""Methods that align whole volumes: asked of the whole volume as in their papers, and of organs besides."""


def chosen(names: tuple[str, ...]) -> dict[str, Row]:
    """Rows by name in the order of the table; by default all but the ablations."""
    known = ROWS | ABLATIONS
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"There is no row '{unknown[0]}': choose from {', '.join(known)}.")
    return {name: row for name, row in known.items() if name in (names or ROWS)}
