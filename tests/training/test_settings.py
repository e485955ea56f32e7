"""The command line: what it starts from, what overrides it, what a run writes to be made again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.encoder.vit import VitConfig
from napari_ctvlp.errors import UserError
from training.config import ModelConfig, PretrainConfig, TextConfig, WorldConfig
from training.engine.processes import run_device
from training.engine.sources import with_evidence
from training.export import command_of, told_settings
from training.settings import PRESETS, from_command_line, read_config, write_config


def test_nothing_said_is_the_default():
    assert from_command_line([]) == PretrainConfig()
    assert from_command_line(["--resume"]).resume


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_overridden_by_what_is_said(preset):
    config = from_command_line(["--preset", preset, "--method", "ours", "--steps", "7", "--out", "x", "--data", "d"])
    assert (config.method, config.optim.steps, config.run, config.data) == ("ours", 7, Path("x"), "d")
    assert config.model == PRESETS[preset].model and config.preset == preset
    assert config == from_command_line(
        ["--preset", preset, "--method", "ours", "--optim.steps", "7", "--run", "x", "--data", "d"]
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_run_writes_reproduces_it(tmp_path, preset):
    config = replace(PRESETS[preset], world=WorldConfig(folder=Path("a")), text=TextConfig("t"), method="fvlm")
    write_config(replace(config, resume=True, minutes=3.0, dry_run=True), tmp_path / "config.json")
    assert read_config(tmp_path / "config.json") == config
    again = from_command_line(["--config", str(tmp_path / "config.json"), "--run", "new"])
    assert replace(again, config=None) == replace(config, run=Path("new"))


def test_a_backbone_and_its_shape_are_said_and_reproduced(tmp_path):
    words = [
        "--model.backbone",
        "vit",
        "--model.vit.width",
        "96",
        "--model.vit.pooled",
        "3",
        "8",
        "--model.pooling",
        "mean",
    ]
    config = from_command_line([*words, "--optim.checkpointing", "--optim.compile"])
    assert config.model == ModelConfig(backbone="vit", pooling="mean", vit=VitConfig(width=96, pooled=(3, 8)))
    assert config.optim.checkpointing and config.optim.compile
    write_config(config, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json") == config
    assert VisionConfig(**vars(config.model)).strides == (8, 8)


def test_a_vit_that_cannot_be_is_told(capsys):
    with pytest.raises(SystemExit):
        from_command_line(["--model.vit.patch", "6"])
    assert "A token of the ViT has 6 voxels a side" in capsys.readouterr().err


def test_a_run_from_before_these_settings_has_the_first_ones(tmp_path):
    write_config(PRESETS["smoke"], tmp_path / "config.json")
    value = json.loads((tmp_path / "config.json").read_text())
    for name in ("backbone", "pooling", "vit"):
        value["model"].pop(name)
    for name in ("checkpointing", "compile"):
        value["optim"].pop(name)
    (tmp_path / "config.json").write_text(json.dumps(value))
    assert read_config(tmp_path / "config.json") == PRESETS["smoke"]


def test_a_resumed_run_keeps_its_settings(tmp_path):
    write_config(replace(PRESETS["smoke"], run=Path("elsewhere"), method="t3d"), tmp_path / "config.json")
    config = from_command_line(["--resume", str(tmp_path), "--minutes", "2"])
    assert config == replace(PRESETS["smoke"], run=tmp_path, method="t3d", resume=True, minutes=2.0)
    assert from_command_line(["--run", str(tmp_path), "--resume", "--minutes", "2"]) == config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "nonsense"], "choose clip"),
        (["--preset", "nonsense"], "choose smoke"),
        (["--config", "missing.json"], "no configuration"),
        (["--config", "c.json", "--preset", "smoke"], "--preset and --config are both"),
        (["--optim.batch", "0"], "--optim.batch 0 cannot be: give 1 or more"),
        (["--steps", "-1"], "--optim.steps -1 cannot be"),
        (["--threads", "0"], "--threads 0 cannot be"),
        (["--model.widths", "8", "24", "--model.blocks", "1"], "do not go together"),
        (["--optim.ema", "1"], "less than 1"),
    ],
)
def test_what_there_is_not_is_told(words, said):
    with pytest.raises(UserError, match=said):
        from_command_line(words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"optim": {"steps": "many"}}', 'optim.steps is "many" and has to be a whole number'),
        ('{"model": {"widths": [8, "x"]}}', "model.widths is .* has to be a list, each a whole number"),
        ('{"model": {"backbone": "lstm"}}', "'cnn' or 'vit'"),
        ('{"seed": true}', "seed is true and has to be a whole number"),
        ('{"optim": [1]}', "optim is no JSON object of settings"),
        ("[1, 2]", "the file is no JSON object of settings"),
        ("{", "no configuration of a run"),
    ],
)
def test_a_file_that_holds_no_settings_is_told_by_what_is_wrong(tmp_path, text, said):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=said):
        from_command_line(["--config", str(tmp_path / "config.json")])


def test_a_preset_serves_prepared_data():
    assert from_command_line(["--preset", "starter"]).optim.lesions == 5.0
    config = from_command_line(["--preset", "starter", "--data", "prepared"])
    assert config.optim == replace(PRESETS["starter"].optim, lesions=0.0)
    with pytest.raises(UserError, match=r"add --optim\.lesions 0"):
        with_evidence(from_command_line(["--preset", "starter", "--data", "prepared", "--optim.lesions", "1"]))


def test_a_device_that_there_is_not_is_told(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for device, said in (
        ("cuda", "PyTorch sees no GPU"),
        ("cuda:1", "PyTorch sees no GPU"),
        ("gpu", "no device 'gpu'"),
    ):
        with pytest.raises(UserError, match=said):
            run_device(device)
    assert run_device(None) == run_device("cpu") == "cpu"


def test_a_setting_of_another_version_is_told(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"optim": {"speed": 3}}))
    with pytest.raises(UserError, match="speed"):
        read_config(tmp_path / "config.json")


def test_a_card_tells_the_command_and_no_folder_of_the_machine():
    starter = PRESETS["starter"]
    world = replace(starter.world, folder=Path("/a/scans"))
    text = replace(starter.text, model="/")
    config = replace(starter, run=Path("/a/b/mine"), world=world)
    assert command_of(config) == "python -m training.pretrain --preset starter"
    begun = replace(config, data="/a/prepared", text=text, start_from="/a/runs/encoder")
    for told in (told_settings(config), told_settings(begun)):
        assert "/" not in json.dumps(told)
    assert "--preset" not in command_of(replace(config, seed=1))
