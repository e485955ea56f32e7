"""A run end to end on small synthetic scans: pure functions of seeds, resumed to the same bits, above chance."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.encoder.vit import VitConfig
from napari_ctvlp.errors import UserError
from training.config import ModelConfig, OptimConfig, PretrainConfig, RefineConfig, TextConfig, WorldConfig
from training.data.batch import crop_or_pad, training_batch
from training.data.lesions import Looked
from training.data.records import OrganRecord
from training.data.seeding import derived_seed, scans_of_step
from training.data.store import WorldStore
from training.data.texts import classes_of, told_classes
from training.engine.checkpoint import load_checkpoint, save_checkpoint
from training.engine.estimate import rest_of
from training.engine.log import Log
from training.engine.sources import sources, with_evidence
from training.evaluation.run import load
from training.export import ExportConfig, export
from training.history import changes
from training.pretrain import begin, pretrain
from training.settings import read_config

from .tiny_text import write_tiny

TINY = PretrainConfig(
    world=WorldConfig(train_scans=12, validation_scans=6, bodies=3),
    model=ModelConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32, spacing=6.0),
    optim=OptimConfig(steps=6, batch=2, warmup=2),
    refine=RefineConfig(steps=3, scans=4),
    validate_every=100,
    checkpoint_every=2,
    device="cpu",
)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory) -> Path:
    """A sentence model of one small layer with random weights, in the layout of a real one."""
    return write_tiny(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory, text_model) -> Path:
    """The small scans of TINY, made once."""
    folder = tmp_path_factory.mktemp("scans")
    pretrain(replace(TINY, run=folder, text=TextConfig(str(text_model)), optim=replace(TINY.optim, steps=1)))
    return folder / "scans"


@pytest.fixture
def config_in(scans, text_model):
    """A configuration like TINY in another folder, with the scans that are there already."""

    def make(folder: Path, **changes) -> PretrainConfig:
        folder.mkdir(exist_ok=True)
        if not (folder / "scans").exists():
            (folder / "scans").symlink_to(scans)
        return replace(TINY, run=folder, **{"text": TextConfig(str(text_model)), **changes})

    return make


def weights(folder: Path) -> str:
    state = load_checkpoint(folder)
    both = {f"m.{k}": v for k, v in state["model"].items()} | {f"a.{k}": v for k, v in state["average"].items()}
    return json.dumps({k: v.double().sum().item() for k, v in both.items()}) + digest(both)


def test_a_stopped_and_resumed_run_reaches_the_same_bits(tmp_path, config_in):
    pretrain(config_in(tmp_path / "whole"))
    pretrain(config_in(tmp_path / "parts", minutes=0.0))
    assert load_checkpoint(tmp_path / "parts")["step"] == 1
    with pytest.raises(UserError, match="--resume"):
        pretrain(config_in(tmp_path / "parts"))
    pretrain(config_in(tmp_path / "parts", minutes=0.0, resume=True))
    pretrain(config_in(tmp_path / "parts", resume=True))
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert not changes(tmp_path / "parts")  # it was told the same in every call
    for name in ("whole", "parts"):
        encoder = load_encoder(tmp_path / name / "encoder", device="cpu")
        assert encoder.card.organs and encoder.card.spacing_mm == 6.0
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert "final" in log[-1]


def test_a_run_that_goes_on_with_other_settings_says_so_on_its_card(tmp_path, config_in):
    shorter = replace(TINY.optim, steps=2)
    pretrain(config_in(tmp_path, optim=shorter))
    card = json.loads((tmp_path / "encoder" / "config.json").read_text())["provenance"]["training"]
    assert "calls" not in card
    (tmp_path / "calls.json").unlink()  # of a run of an earlier version
    pretrain(config_in(tmp_path, optim=replace(shorter, steps=3, learning_rate=0.5), resume=True))
    card = json.loads((tmp_path / "encoder" / "config.json").read_text())["provenance"]["training"]
    before = TINY.optim.learning_rate
    assert card["calls"] == [{"step": 2, "optim.learning_rate": [before, 0.5], "optim.steps": [2, 3]}]
    assert "in several calls" in card["command"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "t3d"}, "of method 'clip', not 't3d'"),
        ({"model": replace(TINY.model, dim=48)}, "go on without --model.dim, or"),
        ({"optim": replace(TINY.optim, evidence=5.0)}, "go on without --model.evidence, --optim.evidence, or"),
    ],
)
def test_a_resume_that_is_refused_leaves_the_run_as_it_was(tmp_path, config_in, changed, said):
    config = config_in(tmp_path / "run", method="clip", minutes=0.0)
    pretrain(config)
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()}
    with pytest.raises(UserError, match=said):
        pretrain(replace(config, resume=True, **changed))
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()} == before


def test_a_run_that_there_is_not_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(WorldStore, "prepare", lambda store: pytest.fail("scans were made"))
    with pytest.raises(UserError, match="holds no checkpoint to go on from"):
        pretrain(replace(TINY, run=tmp_path / "rnu", resume=True))
    assert not (tmp_path / "rnu").exists()


@pytest.mark.parametrize("method", ["clip", "ours"])
def test_a_run_of_another_method_ends_in_an_encoder(tmp_path, config_in, method, capsys):
    config = config_in(tmp_path / "run", method=method, optim=replace(TINY.optim, steps=2), validate_every=1)
    pretrain(config)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    # so few scans hold no abnormality often enough to be learned, and an organ without has nothing to tell apart
    assert [line["validation"]["organs"] for line in log if "validation" in line] == [{}]
    said = capsys.readouterr().out
    assert "step 1: organs by sight" in said and "abnormality AUC -" in said and "0.000" not in said
    assert "warning: 0 abnormalities of organs in at least 8 training scans each" in said
    assert ("--method ours learns none" in said) == (method == "ours") and "lower --at-least" in said
    encoder = load_encoder(tmp_path / "run" / "encoder", device="cpu")
    assert encoder.card.organs and read_config(tmp_path / "run" / "config.json") == with_evidence(config)


def test_a_vit_goes_from_scans_to_an_encoder(tmp_path, config_in):
    shape = replace(TINY.model, backbone="vit", vit=VitConfig(patch=8, width=16, depth=2, heads=2))
    config = config_in(tmp_path / "run", model=shape, optim=replace(TINY.optim, steps=2, checkpointing=True))
    pretrain(replace(config, minutes=0.0))
    pretrain(replace(config, resume=True))
    encoder = load_encoder(tmp_path / "run" / "encoder", device="cpu")
    assert encoder.model.vision.config.strides == (8, 8) and encoder.card.organs
    export(ExportConfig(tmp_path / "run", tmp_path / "to"))
    assert load_encoder(tmp_path / "to", device="cpu").card.revision == encoder.card.revision


def test_supervised_heads_are_trained_and_no_encoder_is_written(tmp_path, config_in, capsys):
    config = config_in(tmp_path / "run", method="supervised", optim=replace(TINY.optim, steps=2))
    pretrain(config)
    assert "cannot be asked in words" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "run")["heads"]["weight"].shape[1] == TINY.model.dim
    assert not (tmp_path / "run" / "encoder").exists()


def test_a_stopped_run_can_be_exported(tmp_path, config_in, capsys):
    pretrain(config_in(tmp_path / "run", minutes=0.0))
    export(ExportConfig(tmp_path / "run", tmp_path / "to"))
    assert "Parity" in capsys.readouterr().out
    encoder = load_encoder(tmp_path / "to", device="cpu")
    state = load_checkpoint(tmp_path / "run")
    assert encoder.card.revision == digest(state["average"])
    assert encoder.card.organs == tuple(state["classes"]["organs"])
    with pytest.raises(UserError, match="no run"):
        export(ExportConfig(tmp_path / "nothing", tmp_path / "to"))


def test_a_finished_run_that_goes_on_gives_its_newest_weights(tmp_path, config_in):
    run = tmp_path / "run"
    pretrain(config_in(run, optim=replace(TINY.optim, steps=2)))
    finished = load_encoder(run / "encoder", device="cpu").card.revision
    assert load(run).card.revision == finished
    export(ExportConfig(run, tmp_path / "first"))
    assert load_encoder(tmp_path / "first", device="cpu").card.revision == finished
    pretrain(config_in(run, optim=replace(TINY.optim, steps=4), resume=True, minutes=0.0))
    newest = digest(load_checkpoint(run)["average"])
    export(ExportConfig(run, tmp_path / "second"))
    assert load(run).card.revision == newest == load_encoder(tmp_path / "second", device="cpu").card.revision
    assert json.loads((tmp_path / "second" / "config.json").read_text())["provenance"]["training"]["steps"] == 3


def test_a_trained_text_tower_is_what_the_encoder_answers_with(tmp_path, config_in, text_model, capsys):
    """From the first step over validation, a stop, the last stage and calibration to the folder."""
    config = config_in(
        tmp_path / "run", method="ours", text=TextConfig(str(text_model), train="all", learning_rate=1.0), minutes=0.0
    )
    pretrain(config)
    export(ExportConfig(tmp_path / "run", tmp_path / "stopped"))
    pretrain(replace(config, resume=True, minutes=None, validate_every=3))
    assert "text tower trained" in capsys.readouterr().out
    state = torch.load(tmp_path / "run" / "final.pt", weights_only=True)
    run, texts = load_checkpoint(tmp_path / "run"), ["a stone in the left kidney", "a photo of the liver"]
    assert all(torch.equal(state["text"][k], v) for k, v in run["average_text"].items())
    tower = TextTower.from_folder(text_model)
    before = tower(texts)
    tower.load_state_dict(state["text"])
    meaning = tower(texts)
    assert not torch.allclose(before, meaning, atol=1e-3)
    projection = state["average"]["text_projection.weight"], state["average"]["text_projection.bias"]
    wanted = torch.nn.functional.normalize(torch.nn.functional.linear(meaning, *projection), dim=-1)
    encoder = load_encoder(tmp_path / "run" / "encoder", device="cpu")
    np.testing.assert_allclose(encoder.encode_text(texts), wanted.numpy(), atol=5e-3)
    known = list(encoder.known.texts[:3])  # carried along: as the tower that is read back would answer
    np.testing.assert_allclose(encoder.known(known).numpy(), encoder.text(known).numpy(), atol=1e-6)
    export(ExportConfig(tmp_path / "run", tmp_path / "finished"))
    again = load_encoder(tmp_path / "finished", device="cpu")
    assert np.array_equal(again.encode_text(texts), encoder.encode_text(texts))
    assert not np.array_equal(load_encoder(tmp_path / "stopped", device="cpu").text(texts), encoder.text(texts))


def test_an_export_with_another_text_tower_puts_nothing_in_place(tmp_path, config_in, monkeypatch, text_model):
    text = TextConfig(str(text_model), train="all", learning_rate=1.0)
    pretrain(config_in(tmp_path / "run", minutes=0.0, text=text))
    monkeypatch.setattr(TextTower, "save", lambda tower, folder: shutil.copytree(text_model, folder))
    with pytest.raises(UserError, match="nothing was put in place"):
        export(ExportConfig(tmp_path / "run", tmp_path / "to"))
    assert not (tmp_path / "to").exists()


def test_an_export_that_does_not_agree_puts_nothing_in_place(tmp_path, config_in, monkeypatch):
    pretrain(config_in(tmp_path / "run", minutes=0.0))
    written = NativeEncoder.save_pretrained

    def damaged(encoder, folder):
        with torch.no_grad():
            encoder.model.vision.head[-1].weight.mul_(-1)
        written(encoder, folder)

    monkeypatch.setattr(NativeEncoder, "save_pretrained", damaged)
    with pytest.raises(UserError, match="nothing was put in place"):
        export(ExportConfig(tmp_path / "run", tmp_path / "to"))
    assert not (tmp_path / "to").exists()


def test_a_dry_run_says_what_it_takes_and_leaves_nothing(tmp_path, config_in, capsys):
    pretrain(config_in(tmp_path / "run", dry_run=True))
    said = capsys.readouterr().out
    assert "M parameters" in said and "rows" in said and "6 steps take about " in said and "0.0 h" not in said
    assert "making scans about 0 s, validation about " in said and "the last stage about " in said
    assert "in the largest crops input 2x3x52x56x72 (" in said and "Disk: about 1 MB" in said
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["scans"]
    fresh = config_in(tmp_path / "other", dry_run=True, world=replace(TINY.world, folder=tmp_path / "none"))
    run, _, held_out = begin(fresh, "cpu")
    rest = rest_of(run, held_out)
    assert rest.making > 0 and rest.disk > 18 * 3 * 50**3  # 18 scans of more than 50 voxels a side
    assert not (tmp_path / "none").exists()


def test_classes_are_what_enough_scans_show():
    records = [OrganRecord("liver", ("liver_cyst",), ())] * 3 + [OrganRecord("spleen", (), ())]
    assert classes_of(records).states == (("liver", "normal"), ("spleen", "normal"))
    assert classes_of(records, at_least=3).states[-1] == ("liver", "liver_cyst")
    assert told_classes(records, 3, "ours", of_organs=True).startswith("1 abnormalities of organs in at least 3")
    assert "learns none" not in told_classes(records, 8, "clip", of_organs=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, config_in, text_model):
    many = replace(TINY.optim, steps=30)
    pretrain(config_in(tmp_path / "whole", optim=many))
    config_in(tmp_path / "killed")
    command = [sys.executable, "-m", "training.pretrain", "--run", str(tmp_path / "killed"), "--device", "cpu"]
    command += ["--text-model", str(text_model)]
    for flag, value in {
        "world.train-scans": 12, "world.validation-scans": 6, "world.bodies": 3, "model.widths": "8 16",
        "model.blocks": "1 1", "model.heads": 2, "model.hidden": 32, "model.dim": 32, "model.spacing": 6.0,
        "refine.steps": 3,
        "refine.scans": 4,
        "optim.steps": 30, "optim.batch": 2, "optim.warmup": 2, "validate-every": 100, "checkpoint-every": 2,
    }.items():  # fmt: skip
        command += [f"--{flag}", *str(value).split()]
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    running = subprocess.Popen(
        command, env=env, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "killed" / "previous.pt").exists():
        assert running.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert load_checkpoint(tmp_path / "killed")["step"] < 30
    subprocess.run([*command, "--resume"], env=env, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_small_run_beats_chance_on_held_out_scans(tmp_path):
    config = replace(
        TINY,
        run=tmp_path,
        world=WorldConfig(train_scans=64, validation_scans=16, bodies=8),
        model=replace(TINY.model, widths=(12, 24, 32), blocks=(1, 1, 1), heads=3, hidden=96, dim=64),
        optim=OptimConfig(steps=150, batch=6, warmup=10, ema=0.95, learning_rate=4e-3),
    )
    pretrain(config)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    final, last = log[-1]["final"], log[-2]
    organs = len(load_encoder(tmp_path / "encoder").card.organs)
    assert final["organ_accuracy"] > 10 / organs
    assert last["organ"]["loss"] < last["organ"]["chance"] - 1
    assert last["abnormality"]["loss"] < last["abnormality"]["chance"] - 1
    table = final["organs"].values()
    gains = [line["gain"] for line in table if "gain" in line]
    assert gains and sum(gains) / len(gains) < 0 and all(line["positives"] >= 1 for line in table if "gain" in line)
    assert any("auc" in line for line in table)


def test_batches_are_pure_functions_of_seed_and_step(scans):
    store = WorldStore(scans / "train", "train", 12, 0, 3, 6.0)
    one, two = (training_batch(store, 3, 5, 2, [(-160, 240)]) for _ in range(2))
    assert torch.equal(one.image, two.image) and torch.equal(one.labels, two.labels)
    other = training_batch(store, 3, 6, 2, [(-160, 240)])
    assert other.image.shape != one.image.shape or not torch.equal(one.image, other.image)


def test_an_abnormal_organ_that_a_crop_cuts_is_unknown_and_not_abnormal(scans):
    """The crop may have cut the lesion away; a normal organ stays normal in part."""
    store = WorldStore(scans / "train", "train", 12, 0, 3, 6.0)
    seen = {True: 0, False: 0}
    for step in range(12):
        batch = training_batch(store, 0, step, 2, [(-160, 240)])
        for index, labels, organs in zip(scans_of_step(0, step, 12, 2), batch.labels, batch.organs, strict=True):
            for label, record in organs.items():
                here = int((labels == label).sum())
                whole = int((store.load(index).labels == label).sum())
                if here < 0.5 * whole:
                    assert record.known == (not record.abnormalities)
                seen[record.known] += 1
    assert seen[False] > 0 and seen[True] > 0


def test_every_scan_is_seen_once_an_epoch():
    seen = [i for step in range(6) for i in scans_of_step(0, step, 12, 2)]
    assert sorted(seen) == list(range(12))
    assert seen != [i for step in range(6, 12) for i in scans_of_step(0, step, 12, 2)]


def test_twins_are_cut_at_one_place_in_one_step(tmp_path):
    store = WorldStore(tmp_path / "train", "train", 8, 0, 3, 6.0, 3.0, twins=True)
    store.prepare(workers=1)
    looked, asked = Looked(("kidney_cyst", "liver_cyst", "gallstones", "lung_nodule"), 4), 0
    for step in range(4):
        batch = training_batch(store, 0, step, 4, [(-160, 240)], looked=looked)
        assert all(b == a + 1 and a % 2 == 0 for a, b in zip(batch.scans[::2], batch.scans[1::2], strict=True))
        for one, two in zip(batch.image[::2], batch.image[1::2], strict=True):
            assert (one == two).float().mean() > 0.6  # but for what is abnormal, with its noise
        halves = [training_batch(store, 0, step, 4, [(-160, 240)], rank=r, processes=2, looked=looked) for r in (0, 1)]
        assert torch.equal(torch.cat([h.image for h in halves]), batch.image)
        assert batch.places is not None
        asked += int(batch.places.asked.sum())
    assert asked
    seen = [i for step in range(2) for i in scans_of_step(0, step, 8, 4, twins=True)]
    assert sorted(seen) == list(range(8))


def test_an_odd_number_of_twins_is_refused(tmp_path):
    twins = WorldConfig(twins=True)
    odd = PretrainConfig(world=replace(twins, train_scans=7)), PretrainConfig(world=twins, optim=OptimConfig(batch=5))
    for config in odd:
        with pytest.raises(UserError, match="even numbers"):
            sources(replace(config, run=tmp_path), "cpu")


def test_a_log_tells_every_step_once_after_a_kill(tmp_path):
    lines = [{"step": n, "loss": n} for n in (10, 20, 30, 40)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4')
    writer = Log(tmp_path, 20)  # the last checkpoint
    writer({"step": 30, "loss": 3})
    writer.close()
    kept = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert kept == [*lines[:2], {"step": 30, "loss": 3}]


def test_a_recipe_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            WorldStore(tmp_path, "train", 0, 0, 3, 6.0).prepare()
    assert not (tmp_path / "recipe.json").exists()
    (tmp_path / "recipe.json").write_text('{"wor')
    with pytest.raises(UserError, match=r"recipe\.json is damaged"):
        WorldStore(tmp_path, "train", 0, 0, 3, 6.0).prepare()


def test_a_store_of_another_recipe_is_refused(tmp_path):
    WorldStore(tmp_path, "train", 0, 0, 3, 6.0).prepare()
    with pytest.raises(UserError, match="another recipe"):
        WorldStore(tmp_path, "train", 0, 1, 3, 6.0).prepare()


def test_left_is_never_flipped(scans):
    """A crop holds the stored voxels in their order."""
    store = WorldStore(scans / "train", "train", 12, 0, 3, 6.0)
    labels = np.asarray(store.load(0).labels)
    cut = crop_or_pad(labels, (1, 2, 3), (4, 5, 6), 0)
    assert np.array_equal(cut, labels[1:5, 2:7, 3:9])
    padded = crop_or_pad(labels, (-2, 0, 0), (4, 5, 6), 9)
    assert (padded[:2] == 9).all() and np.array_equal(padded[2:], labels[:2, :5, :6])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, capsys):
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step, "x": torch.ones(2)})
    (tmp_path / "last.pt").write_bytes(b"torn")
    assert load_checkpoint(tmp_path)["step"] == 1
    assert "last.pt" in capsys.readouterr().out
    (tmp_path / "previous.pt").unlink()
    with pytest.raises(UserError, match="can be read"):
        load_checkpoint(tmp_path)


def test_seeds_are_stable():
    """Changing this number changes every run that was ever made."""
    assert derived_seed(0, "batch", 1) == derived_seed(0, "batch", 1) != derived_seed(0, "batch", 2)
    assert derived_seed("a") == 3136151050186550259
