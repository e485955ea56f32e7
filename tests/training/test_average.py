"""The mean of several encoders: of their weights, with a calibration and a validation of its own."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_files import read_folder
from napari_ctvlp.encoder.registry import SHIPPED
from napari_ctvlp.errors import UserError
from training import average as room
from training.average import AverageConfig, average, averaged, mean_of, validation_of
from training.engine.validate import PairScores

STARTER = SHIPPED / "starter"


@pytest.fixture(scope="module")
def parts():
    return read_folder(STARTER)


def moved(parts, by):
    """The same encoder with every weight larger."""
    model = copy.deepcopy(parts.model)
    with torch.no_grad():
        for weight in model.parameters():
            weight += by
    return replace(parts, model=model, provenance=replace(parts.provenance, trained_on="other scans"))


@pytest.fixture
def pairs(monkeypatch):
    """Scores in place of those of hundreds of scans."""
    scores = np.linspace(-2, 2, 40)
    made = [PairScores("liver/liver_cyst", scores, scores + np.tile([0.5, -0.5], 20) > 0, np.arange(40))]
    monkeypatch.setattr(room, "pairs_of", lambda encoder, store: made)
    monkeypatch.setattr(room.WorldStore, "prepare", lambda self: None)
    return made


def test_weights_are_averaged_by_their_shares(parts):
    other = moved(parts, 0.5)
    mean = mean_of([parts.model, other.model], (1.0, 3.0))
    for name, weight in parts.model.state_dict().items():
        if name in dict(parts.model.named_parameters()):
            torch.testing.assert_close(mean[name], weight + 0.375, atol=1e-5, rtol=1e-5)
        else:
            torch.testing.assert_close(mean[name], weight)
        assert mean[name].dtype == weight.dtype


def test_of_one_encoder_twice_the_mean_is_that_encoder(parts):
    again = averaged([parts, parts], (1.0, 1.0))
    assert digest(again.model.state_dict()) == digest(parts.model.state_dict())


def test_the_mean_is_written_with_what_was_measured_of_itself(parts, pairs, tmp_path):
    other, to = moved(parts, 0.01), tmp_path / "mean"
    NativeEncoder(other.model, other.text, other.provenance, device="cpu", known=other.known).save_pretrained(
        tmp_path / "other"
    )
    average(AverageConfig(("starter", str(tmp_path / "other")), to, (1, 3), cache=tmp_path / "scans"))
    encoder, told = load_encoder(to, device="cpu"), read_folder(to).provenance
    other = read_folder(tmp_path / "other")  # as files hold it
    mean = averaged([parts, other], (1, 3)).model
    torch.testing.assert_close(
        read_folder(to).model.vision.state_dict(), mean.vision.state_dict(), atol=1e-2, rtol=1e-3
    )
    assert encoder.card.revision not in {digest(p.model.state_dict()) for p in (parts, other)}
    assert encoder.calibration.by_key.keys() == {"liver/liver_cyst"}
    assert encoder.card.validated == {"liver_cyst": validation_of(pairs, 300)["auc"]["liver_cyst"][0]}
    shares = {revision: made["share"] for revision, made in told.training["averaged"].items()}
    assert shares == {digest(p.model.state_dict()): share for p, share in ((parts, 0.25), (other, 0.75))}
    assert told.trained_on == f"{parts.provenance.trained_on}; other scans"


def test_encoders_that_do_not_fit_are_refused_in_one_sentence(parts, tmp_path, capsys):
    with pytest.raises(UserError, match="2 numbers"):
        averaged([parts, parts], (1.0,))
    with pytest.raises(UserError, match="2 numbers"):
        averaged([parts, parts], (1.0, -1.0))
    wider = copy.deepcopy(parts.model)
    wider.vision.config = replace(parts.model.vision.config, dim=8)
    with pytest.raises(UserError, match="shape"):
        averaged([parts, replace(parts, model=wider)], (1.0, 1.0))
    text = copy.deepcopy(parts.text)
    with torch.no_grad():
        next(iter(text.parameters())).mul_(2)
    with pytest.raises(UserError, match="text models"):
        averaged([parts, replace(parts, text=text)], (1.0, 1.0))
    for encoders in (["starter"], ["starter", str(tmp_path / "nothing")]):
        with pytest.raises(SystemExit):
            room.main([*encoders, "--to", str(tmp_path / "to")])
        assert capsys.readouterr().err.startswith("error: ") and not (tmp_path / "to").exists()
