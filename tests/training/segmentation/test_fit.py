"""Fitting: it learns, it says what is wrong, and a run that was stopped goes on to the same bits."""

from __future__ import annotations

import pytest
import torch

from napari_ctvlp.encoder.vision import VisionTower
from napari_ctvlp.errors import UserError
from training.segmentation import fit as room
from training.segmentation.fit import Optim, fit_segmenter
from training.segmentation.judge import figures, judge
from training.segmentation.network import new_segmenter
from training.segmentation.targets import LesionTarget, OrganTarget, scans_that_show

from .conftest import SMALL, SMALL_VIT

KIDNEYS = OrganTarget(("kidney_left", "kidney_right", "spleen"))


def fitted(phantom, target, folder, optim, vision=SMALL, **more):
    torch.manual_seed(0)
    network = new_segmenter(vision, len(target.names) + 1, 0, VisionTower(vision).state_dict())
    losses = fit_segmenter(network, phantom, target, scans_that_show(target, phantom), optim, folder, **more)
    return network, losses


@pytest.mark.parametrize(("vision", "least"), [(SMALL, 0.9), (SMALL_VIT, 0.8)], ids=["cnn", "vit"])
def test_it_overfits_a_phantom_and_tells_left_from_right(vision, least, phantom, tmp_path):
    """Both kidneys have the same attenuation and shape: only where they lie tells them apart."""
    optim = Optim(steps=90, crop=24, warmup=10)
    network, losses = fitted(phantom, KIDNEYS, tmp_path, optim, vision)
    found = {figure.name: figure for figure in figures(judge(network, KIDNEYS, phantom))}
    assert losses[-1] < 0.5 * losses[0]
    assert all(found[name].value > least for name in KIDNEYS.names), found
    assert found["spleen"].without == 2 and found["spleen"].false_calls == 0


def test_it_learns_a_lesion_of_eleven_voxels(phantom, tmp_path):
    stone = LesionTarget(("kidney_stone",))
    network, _ = fitted(phantom, stone, tmp_path, Optim(steps=150, crop=24, warmup=10))
    judged = judge(network, stone, phantom)
    assert judged.dice[0, 0] > 0.7 and not judged.called[1:].any()


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(phantom, tmp_path, monkeypatch):
    optim = Optim(steps=7, batch=1, crop=16, checkpoint_every=2)
    whole, _ = fitted(phantom, KIDNEYS, tmp_path / "whole", optim, settings="s")

    def stopped(*given, step, **more):
        if step == 5:  # after the checkpoint of step 4
            raise KeyboardInterrupt
        return make(*given, step=step, **more)

    make = room.step_crops
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(room, "step_crops", stopped)
        fitted(phantom, KIDNEYS, tmp_path / "parts", optim, settings="s")
    again, losses = fitted(phantom, KIDNEYS, tmp_path / "parts", optim, settings="s", resume=True)
    assert len(losses) == 3
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_crops_that_are_too_small_for_the_encoder_are_told(phantom, tmp_path):
    with pytest.raises(UserError, match="crops of 16 voxels"):
        fitted(phantom, KIDNEYS, tmp_path, Optim(steps=1, crop=15))


def test_runs_are_neither_overwritten_nor_mixed(phantom, tmp_path):
    optim = Optim(steps=1, batch=1, crop=16)
    with pytest.raises(UserError, match="No checkpoint"):
        fitted(phantom, KIDNEYS, tmp_path, optim, resume=True)
    fitted(phantom, KIDNEYS, tmp_path, optim, settings="one")
    with pytest.raises(UserError, match="--resume"):
        fitted(phantom, KIDNEYS, tmp_path, optim, settings="one")
    with pytest.raises(UserError, match="other settings"):
        fitted(phantom, KIDNEYS, tmp_path, optim, settings="other", resume=True)


def test_a_loss_that_is_not_finite_ends_the_run(phantom, tmp_path):
    network = new_segmenter(SMALL, 4, 0, None)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        fit_segmenter(network, phantom, KIDNEYS, scans_that_show(KIDNEYS, phantom), Optim(steps=1, crop=16), tmp_path)


def test_figures_of_normalisation_are_settled_half_way(phantom, tmp_path):
    """What is trained last is what is used: running figures, and not those of crops."""
    network, seen = new_segmenter(SMALL, 4, 0, None), []
    norm = network.refine[0][1]
    norm.register_forward_hook(lambda *_: seen.append(norm.mean.clone()))
    fit_segmenter(network, phantom, KIDNEYS, scans_that_show(KIDNEYS, phantom), Optim(steps=4, crop=16), tmp_path)
    assert not torch.equal(seen[0], seen[1]) and torch.equal(seen[1], seen[2]) and torch.equal(seen[2], seen[3])


def test_the_rate_rises_and_falls():
    optim = Optim(steps=100, learning_rate=1.0, warmup=10)
    rates = [optim.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) > 0.97 and rates[-1] < 0.001
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"batch": 0}, {"crop": 0}, {"foreground": 0.5}, {"checkpoint_every": 0}]
)
def test_settings_that_cannot_be_are_told(wrong):
    with pytest.raises(UserError, match=f"--optim.{next(iter(wrong)).replace('_', '-')}"):
        Optim(**wrong).check()
