"""A run on a prepared store: the same command, other data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.errors import UserError
from tests.training.test_prepare import row, run, write_manifest, write_pair
from tests.training.tiny_text import write_tiny
from training.config import OptimConfig, RefineConfig, TextConfig
from training.pretrain import pretrain

from .phantoms import CONFIG


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    names = [("a", "train"), ("b", "train"), ("c", "validation")]
    for seed, (name, _) in enumerate(names):
        write_pair(folder, name, seed)
    manifest = write_manifest(folder / "manifest.jsonl", [row(name, split=split) for name, split in names])
    run(manifest)
    return next(p.parent for p in folder.rglob("store.json"))


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("text"))


@pytest.mark.parametrize("method", ["ctglip", "t3d"])
def test_any_method_trains_on_prepared_studies(tmp_path, prepared, text_model, method):
    config = replace(
        CONFIG,
        run=tmp_path,
        data=str(prepared),
        method=method,
        text=TextConfig(str(text_model)),
        optim=OptimConfig(steps=2, batch=2, warmup=1),
        refine=RefineConfig(steps=2, scans=2),
    )
    pretrain(config)
    encoder = load_encoder(tmp_path / "encoder", device="cpu")
    assert {"liver", "spleen", "kidney_left"} <= set(encoder.card.organs)
    assert encoder.card.spacing_mm == 3.0  # that of the store, not of the configuration
    assert "prepared store" in encoder.card.trained_on
    assert np.isfinite(encoder.encode_text(["liver"])).all()


def test_a_folder_that_is_no_store_is_told(tmp_path):
    with pytest.raises(UserError, match="no finished prepared store"):
        pretrain(replace(CONFIG, run=tmp_path / "run", data=str(tmp_path)))
