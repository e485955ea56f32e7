"""The command on tiny synthetic scans: every kind of row ends in the table, and a second call trains nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from napari_ctvlp.encoder.vit import VitConfig
from napari_ctvlp.errors import UserError
from training import compare as command
from training.config import ModelConfig, OptimConfig, RefineConfig, TextConfig, WorldConfig

from ..tiny_text import write_tiny

MODEL = ModelConfig(
    widths=(4, 8),
    blocks=(1, 1),
    heads=2,
    hidden=16,
    dim=16,
    spacing=8.0,
    vit=VitConfig(patch=4, width=8, depth=1, heads=2),
)
ORDER = ("supervised", "clip", "t3d", "ctglip-vit", "fvlm-coteach", "ours")


def config_in(folder, text, **changes):
    return command.CompareConfig(
        out=folder,
        rows=ORDER[::-1],
        seeds=(0,),
        world=WorldConfig(train_scans=20, validation_scans=1, bodies=4, abnormal=3.0),
        test_scans=24,
        model=ModelConfig(
            widths=(4, 8),
            blocks=(1, 1),
            heads=2,
            hidden=16,
            dim=16,
            spacing=8.0,
            vit=VitConfig(patch=4, width=8, depth=1, heads=2),
        ),
        optim=OptimConfig(steps=2, horizon=None, batch=2, warmup=1),
        refine=RefineConfig(steps=2, scans=4, limit=6),
        text=TextConfig(model=str(text)),
        jobs=1,
        rounds=20,
        device="cpu",
        **changes,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_kind_of_row_ends_in_the_table(tmp_path):
    config = config_in(tmp_path, write_tiny(tmp_path / "text"))
    result = command.compare(config)
    assert list(result["rows"]) == [
        "supervised",
        "clip",
        "clip, asked of organs",
        "t3d",
        "t3d, asked of organs",
        "ctglip-vit",
        "fvlm-coteach",
        "ours",
    ]
    for name, row in result["rows"].items():
        assert 0 <= row["macro_auc"]["low"] <= row["macro_auc"]["value"] <= row["macro_auc"]["high"] <= 1, name
        assert row["abnormalities"] > 0
    assert result["rows"]["supervised"]["organ_accuracy"] is None  # it has no words
    assert json.loads((tmp_path / "compare.json").read_text())["rows"] == result["rows"]
    assert "| ours |" in (tmp_path / "compare.md").read_text()

    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*")}
    assert command.compare(config)["rows"] == result["rows"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*")} == written
    again = command.compare(replace(config, rows=("clip",), test_scans=23))  # asked anew, and not trained anew
    assert list(again["rows"]) == ["clip", "clip, asked of organs"]
    with pytest.raises(UserError, match="holds a run of other settings"):
        command.compare(replace(config, optim=replace(config.optim, steps=3)))


def test_a_row_that_there_is_not_and_a_store_without_test_scans_are_told(tmp_path, capsys):
    for words, said in ((["--rows", "best"], "There is no row 'best'"), (["--data", str(tmp_path)], "error: ")):
        with pytest.raises(SystemExit) as ended:
            command.main([*words, "--out", str(tmp_path / "out")])
        assert ended.value.code == 2 and said in capsys.readouterr().err
