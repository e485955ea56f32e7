"""The command on tiny synthetic scans: every kind of row ends in the table, and a second call trains nothing."""

from __future__ import annotations

import json
import os

import pytest

from training import compare as command
from training.config import ModelConfig, OptimConfig, WorldConfig
from training.objectives.supervised import Supervised

ROWS = ("supervised", "clip", "ctglip-vit", "fvlm-coteach", "ours")


def config_in(folder, text, **changes):
    return command.CompareConfig(
        out=folder,
        rows=ROWS,
        seeds=(0,),
        world=WorldConfig(train_scans=8, validation_scans=1, bodies=4, abnormal=3.0),
        test_scans=12,
        model=ModelConfig(widths=(4, 8), blocks=(1, 1), heads=2, hidden=16, dim=16, spacing=8.0),
        optim=OptimConfig(steps=2, horizon=None, batch=2, warmup=1),
        text=text,
        jobs=1,
        rounds=20,
        device="cpu",
        **changes,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_kind_of_row_ends_in_the_table(tmp_path, tiny_text, monkeypatch):
    config = config_in(tmp_path, tiny_text)
    result = command.compare(config)
    assert list(result["rows"]) == ["supervised", "clip", "clip, asked of organs", "ctglip-vit", "fvlm-coteach", "ours"]
    for name, row in result["rows"].items():
        assert 0 <= row["macro_auc"]["low"] <= row["macro_auc"]["value"] <= row["macro_auc"]["high"] <= 1, name
        assert row["abnormalities"] > 5
    assert result["rows"]["supervised"]["organ_accuracy"] is None  # it has no words
    assert json.loads((tmp_path / "compare.json").read_text())["rows"] == result["rows"]
    assert "| ours |" in (tmp_path / "compare.md").read_text()

    monkeypatch.setattr(command, "_job", os.abort)  # would be seen: runs are jobs of another process
    answers = sorted(tmp_path.glob("runs/*/*.npz"))
    before = [path.stat().st_mtime_ns for path in answers]
    monkeypatch.undo()
    assert command.compare(config)["rows"] == result["rows"]
    assert [path.stat().st_mtime_ns for path in answers] == before


def test_heads_are_trained_for_the_classes_of_the_run():
    assert Supervised(4, 9).weight.shape == (9, 4)
