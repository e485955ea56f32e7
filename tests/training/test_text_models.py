"""A text model by folder or hub id: nothing is fetched unasked, and what was found is what a run names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import huggingface_hub.errors
import pytest
import torch
from safetensors.torch import load_file

from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.errors import UserError
from training.config import PretrainConfig, TextConfig
from training.convert_text import ConvertConfig, convert
from training.data.text_models import find_text_model, load_text_tower, pinned
from training.settings import from_command_line, read_config, write_config

from .tiny_text import write_tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def into_cache(cache: Path, name: str) -> Path:
    """Put the small model where a download of ``name`` would."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return write_tiny(repository / "snapshots" / COMMIT, pooling="cls")


def test_a_hub_id_is_not_fetched_unasked(cache):
    with pytest.raises(UserError, match="--text-download"):
        load_text_tower(TextConfig("microsoft/BiomedVLP-CXR-BERT-specialized"))
    assert not list(cache.rglob("*.json"))


def test_a_hub_id_is_found_in_the_cache_and_named_with_its_revision(cache):
    folder = into_cache(cache, "somebody/small")
    tower = load_text_tower(TextConfig("somebody/small"))
    assert tower.pooling == "cls"
    assert torch.equal(tower(["liver"]), TextTower.from_folder(folder)(["liver"]))
    config = pinned(TextConfig("somebody/small", train="all"))
    assert config == TextConfig(f"somebody/small@{COMMIT}", train="all") and pinned(config) == config
    assert find_text_model(config.model) == folder
    with pytest.raises(UserError, match="--text-download"):
        find_text_model("somebody/small@v2")


def test_a_download_is_asked_for_without_pickles_and_code(cache, monkeypatch):
    asked = []

    def fetched(name, **settings):
        asked.append((name, settings))
        raise huggingface_hub.errors.OfflineModeIsEnabled("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    with pytest.raises(UserError, match="could not be fetched"):
        find_text_model("somebody/small@v2", download=True)
    (name, settings) = asked[0]
    assert (name, settings["revision"], settings["local_files_only"]) == ("somebody/small", "v2", False)
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in settings["allow_patterns"])


def test_a_folder_and_the_shipped_model(tmp_path):
    assert find_text_model(None) == base_text_folder()
    folder = write_tiny(tmp_path / "model")
    assert find_text_model(str(folder)) == folder and pinned(TextConfig(str(folder))) == TextConfig(str(folder))
    with pytest.raises(UserError, match="no text model"):
        find_text_model(str(tmp_path / "nothing"))


def test_settings_of_the_command_line_and_of_older_runs(tmp_path):
    words = ["--text-model", "a/b", "--text-train", "2", "--text-download", "--text.pooling", "cls"]
    config = from_command_line(words)
    assert config.text == TextConfig("a/b", download=True, train=2, pooling="cls")
    assert from_command_line(["--text-train", "all"]).text.train == "all"
    write_config(config, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json").text == replace(config.text, download=False)
    for old, new in ((None, None), ("some/folder", "some/folder")):
        value = json.loads((tmp_path / "config.json").read_text())
        del value["text"]
        (tmp_path / "old.json").write_text(json.dumps(value | {"text_model": old}))
        assert read_config(tmp_path / "old.json") == replace(PretrainConfig(), text=TextConfig(new))


def test_pickled_weights_are_converted_by_the_restricted_reader(tmp_path, capsys):
    folder = write_tiny(tmp_path / "model", pooling="cls")
    wanted = TextTower.from_folder(folder)(["liver"])
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    convert(ConvertConfig(str(folder), tmp_path / "to"))
    assert torch.equal(TextTower.from_folder(tmp_path / "to")(["liver"]), wanted)
    assert "--text-model" in capsys.readouterr().out
    torch.save({"weights": Path("x")}, folder / "pytorch_model.bin")
    shutil.rmtree(tmp_path / "to")
    with pytest.raises(UserError, match="more than tensors"):
        convert(ConvertConfig(str(folder), tmp_path / "to"))
    assert not (tmp_path / "to").exists()
    with pytest.raises(UserError, match="nothing to convert"):
        convert(ConvertConfig(str(base_text_folder()), tmp_path / "to"))
