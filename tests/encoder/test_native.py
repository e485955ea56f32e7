"""The native encoder: the contract kept, artifacts whole or refused in words, text by meaning."""

from __future__ import annotations

import json
import pickle
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_ctvlp.encoder import Calibration, EncodingCancelled, OrganStatus, ScanEncoder, load_encoder
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_model import NativeModel, Provenance
from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.errors import UserError

SMALL = VisionConfig(widths=(8, 8), blocks=(1, 1), heads=2, hidden=16, dim=32)


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower.from_folder(base_text_folder())


@pytest.fixture
def encoder(tower) -> NativeEncoder:
    torch.manual_seed(0)
    made = Provenance(
        "tiny", "BSD-3-Clause", "nothing", "For tests.", ("liver", "spleen"), ("liver/liver_cyst",), {"seed": 0}
    )
    return NativeEncoder(
        NativeModel(SMALL, tower.width), tower, made, Calibration((2.0, -1.0), {"liver/liver_cyst": (3.0, 0.5)}), "cpu"
    )


@pytest.fixture
def saved(encoder, tmp_path):
    encoder.save_pretrained(tmp_path / "enc")
    return tmp_path / "enc"


def test_keeps_the_contract(encoder, phantom):
    scan, masks = phantom
    seen: list[float] = []
    embedding = encoder.encode_scan(scan, masks, progress=seen.append)
    assert isinstance(encoder, ScanEncoder)
    assert embedding.organs == tuple(masks.names.values())
    np.testing.assert_allclose(np.linalg.norm(embedding.vectors, axis=1), 1, atol=1e-5)
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)
    status = dict(zip(embedding.organs, embedding.status, strict=True))
    assert status["liver"] is OrganStatus.COMPLETE and status["kidney_left"] is OrganStatus.UNKNOWN


def test_status_of_cut_and_tiny_organs(encoder, phantom):
    from napari_ctvlp.scan.masks import organ_statistics
    from napari_ctvlp.scan.types import OrganMasks

    scan, masks = phantom
    labels = masks.labels.copy()
    labels[0:10][labels[8:18] == 5] = 5  # the liver now leaves the scan through its top
    labels[labels == 1] = 0
    labels[12, 30, 60] = 1
    cut = OrganMasks(labels, masks.names, "", statistics=organ_statistics(scan, labels, masks.names))
    embedding = encoder.encode_scan(scan, cut)
    status = dict(zip(embedding.organs, embedding.status, strict=True))
    assert status["liver"] is OrganStatus.CUT and status["spleen"] is OrganStatus.TOO_SMALL
    assert np.isfinite(embedding.vectors).all()


def test_cancel(encoder, phantom):
    with pytest.raises(EncodingCancelled):
        encoder.encode_scan(*phantom, cancelled=lambda: True)


def test_round_trip(encoder, saved, phantom):
    again = NativeEncoder.from_pretrained(saved, device="cpu")
    assert again.card == encoder.card and again.calibration == encoder.calibration
    before, after = encoder.encode_scan(*phantom).vectors, again.encode_scan(*phantom).vectors
    assert np.abs(before - after).max() < 5e-3  # stored in half precision
    np.testing.assert_allclose(encoder.encode_text(["liver"]), again.encode_text(["liver"]), atol=5e-3)
    assert "BSD" in (saved / "README.md").read_text()
    assert not list(saved.parent.glob(".*"))


def test_known_texts_answer_as_if_encoded_anew(encoder, tmp_path):
    asked = ["liver", "a new question", "spleen", "liver"]
    plain = encoder.encode_text(asked)
    encoder.remember(["spleen", "liver", "kidney"])
    np.testing.assert_allclose(encoder.encode_text(asked), plain, atol=1e-5)
    encoder.save_pretrained(tmp_path / "enc")
    again = NativeEncoder.from_pretrained(tmp_path / "enc", device="cpu")
    assert again.known.texts == ("spleen", "liver", "kidney")
    np.testing.assert_allclose(again.encode_text(asked), plain, atol=5e-3)
    again.text.forward = lambda *_: pytest.fail("a known text was encoded")
    again.encode_text(["kidney", "liver"])


def test_places_are_the_same_from_what_was_kept(encoder, phantom, monkeypatch):
    """To the bit, without resampling the scan and without embedding its organs."""
    scan, masks = phantom
    first = encoder.encode_scan(scan, masks).dense
    monkeypatch.setattr("napari_ctvlp.encoder.preprocess.resample_hu", lambda *_, **__: pytest.fail("resampled"))
    again = encoder.dense_again(scan, masks, {name: array.copy() for name, array in first.kept.items()})
    for organ in masks.names.values():
        one, other = first.cells(organ), again.cells(organ)
        np.testing.assert_array_equal(one.vectors, other.vectors)
        np.testing.assert_array_equal(one.places, other.places)


def test_places_of_several_organs_are_made_side_by_side(encoder, phantom, monkeypatch):
    """To the bit as one after the other, each in a thread of its own that uses one core."""
    scan, masks = phantom
    one, other = (encoder.encode_scan(scan, masks).dense for _ in range(2))
    organs = list(masks.names.values())[:2]
    expected = {organ: one.cells(organ) for organ in organs}
    meet, cores, real = threading.Barrier(2, timeout=60), [], other._cells

    def at_once(organ):
        meet.wait()  # neither goes on before both have begun
        cores.append(torch.get_num_threads())
        return real(organ)

    monkeypatch.setattr(other, "_cells", at_once)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other.ready(organs)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert cores == [1, 1]
    monkeypatch.setattr(other, "_cells", lambda organ: pytest.fail("made again"))
    for organ, cells in expected.items():
        np.testing.assert_array_equal(other.cells(organ).vectors, cells.vectors)
        np.testing.assert_array_equal(other.cells(organ).places, cells.places)


def test_a_question_is_encoded_once(encoder, monkeypatch):
    """It ranks the organs first and is looked for in them next; nobody can spoil what is kept."""
    runs = []
    real = encoder.text.forward
    monkeypatch.setattr(encoder.text, "forward", lambda texts: runs.append(torch.get_num_threads()) or real(texts))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = encoder.encode_text_meaning(["a stone on the left"])
        kept = first.copy()
        first[:] = 0
        np.testing.assert_array_equal(encoder.encode_text_meaning(["a stone on the left"]), kept)
        encoder.encode_text(["a stone on the left"])
        assert runs == [1]  # threads that wait for each other are no help with a sentence
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("texts", ['["liver"]', '["a", "a", "b"]', "{}", "not json"])
def test_prompts_that_do_not_fit_are_refused(encoder, tmp_path, texts):
    encoder.remember(["spleen", "liver", "kidney"])
    encoder.save_pretrained(tmp_path / "enc")
    (tmp_path / "enc" / "prompts.json").write_text(texts)
    with pytest.raises(UserError, match="prompts"):
        load_encoder(tmp_path / "enc")


def test_saving_over_an_encoder_replaces_it(encoder, saved):
    (saved / "stale.txt").write_text("x")
    encoder.save_pretrained(saved)
    assert not (saved / "stale.txt").exists() and NativeEncoder.from_pretrained(saved)


def test_a_save_that_fails_leaves_the_old_one(encoder, saved, monkeypatch):
    monkeypatch.setattr(TextTower, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        encoder.save_pretrained(saved)
    assert NativeEncoder.from_pretrained(saved).card.name == "tiny"
    assert [p.name for p in saved.parent.iterdir()] == ["enc"]


def damage_config(folder):
    (folder / "config.json").write_text("{")


def damage_format(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format": 99}))


def damage_widths(folder):
    config = json.loads((folder / "config.json").read_text())
    config["vision"]["widths"] = "wide"
    (folder / "config.json").write_text(json.dumps(config))


def truncate_weights(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def drop_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    weights.pop("log_scale")
    save_file(weights, folder / "model.safetensors")


def add_tensor(folder):
    save_file(load_file(folder / "model.safetensors") | {"extra": torch.zeros(1)}, folder / "model.safetensors")


def reshape_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"text_projection.bias": torch.zeros(3)}, folder / "model.safetensors")


def poison_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"log_scale": torch.tensor(float("nan"))}, folder / "model.safetensors")


def damage_calibration(folder):
    (folder / "calibration.json").write_text('{"default": "often"}')


def drop_text(folder):
    (folder / "text" / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_config, "config.json"),
        (damage_format, "format 99"),
        (damage_widths, "config.json"),
        (truncate_weights, "damaged"),
        (drop_tensor, "lacks the tensor 'log_scale'"),
        (add_tensor, "unknown tensor 'extra'"),
        (reshape_tensor, "text_projection.bias"),
        (poison_tensor, "not finite"),
        (damage_calibration, "calibration.json"),
        (drop_text, "model.safetensors"),
    ],
)
def test_damaged_artifacts_are_refused_in_one_sentence(saved, damage, words):
    damage(saved)
    with pytest.raises(UserError, match=words) as caught:
        load_encoder(saved)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_never_opened(tmp_path):
    marker = tmp_path / "owned"

    class Malicious:
        def __reduce__(self):
            return (type(tmp_path).touch, (marker,))

    for place in (tmp_path / "model.pt", tmp_path / "folder" / "model.pt"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(pickle.dumps(Malicious()))
        with pytest.raises(UserError, match="pickle"):
            load_encoder(place if place.parent == tmp_path else place.parent)
    assert not marker.exists()


def test_unknown_name():
    with pytest.raises(UserError, match="There is no encoder"):
        load_encoder("no such encoder")


def test_text_tower_knows_meaning_and_takes_anything(tower):
    liver, hepatic, banana = tower(["liver", "hepatic organ", "a banana"])
    assert liver @ hepatic > liver @ banana + 0.1
    odd = tower(["", "   ", "肝臓", "🍌", "x" * 10_000])
    assert torch.isfinite(odd).all()
    torch.testing.assert_close(odd.norm(dim=1), torch.ones(5))


def edited(scan, masks, change):
    from napari_ctvlp.scan.drawn import edited_masks

    labels = masks.labels.copy()
    change(labels)
    return edited_masks(scan, masks, labels, {200: "tumour"})


def paint_liver_over(labels):
    labels[8:12, 12:40, 10:35] = 2


def add_an_organ(labels):
    labels[30:36, 20:40, 20:40] = 200


def erase_the_spleen(labels):
    labels[labels == 1] = 0


def one_voxel(labels):
    labels[20, 35, 52] = 0


@pytest.mark.parametrize("change", [paint_liver_over, add_an_organ, erase_the_spleen, one_voxel])
def test_other_masks_are_pooled_from_the_same_maps(encoder, phantom, monkeypatch, change):
    scan, masks = phantom
    before = encoder.encode_scan(scan, masks)
    after = edited(scan, masks, change)
    fresh = encoder.encode_scan(scan, after)
    places = {organ: fresh.dense.cells(organ) for organ in fresh.organs}
    monkeypatch.setattr(encoder.model.vision, "features", None)  # the network is not run again
    update = encoder.update_scan(before, scan, after)
    assert update.organs == fresh.organs and update.status == fresh.status
    np.testing.assert_allclose(update.vectors, fresh.vectors, atol=1e-5)
    for organ, cells in places.items():
        np.testing.assert_array_equal(update.dense.cells(organ).places, cells.places)
        np.testing.assert_allclose(update.dense.cells(organ).vectors, cells.vectors, atol=1e-5)


def test_only_organs_that_changed_are_pooled(encoder, phantom, monkeypatch):
    scan, masks = phantom
    before = encoder.encode_scan(scan, masks)
    pooled, pool = [], encoder.model.vision.pool
    monkeypatch.setattr(
        encoder.model.vision, "pool", lambda maps, index: pooled.append(index.label.tolist()) or pool(maps, index)
    )
    update = encoder.update_scan(before, scan, edited(scan, masks, erase_the_spleen))
    assert pooled == []
    assert update.organs == ("kidney_right", "kidney_left", "liver")
    update = encoder.update_scan(before, scan, edited(scan, masks, paint_liver_over))
    assert [sorted(labels) for labels in pooled] == [[2, 5]]
    again = encoder.update_scan(update, scan, masks)
    np.testing.assert_allclose(again.vectors, before.vectors[[before.organs.index(o) for o in again.organs]], atol=1e-5)


def test_without_maps_of_this_scan_there_is_no_update(encoder, phantom):
    import dataclasses

    scan, masks = phantom
    before = encoder.encode_scan(scan, masks)
    assert encoder.update_scan(dataclasses.replace(before, dense=None), scan, masks) is None
    other = dataclasses.replace(scan, hu=scan.hu[:-2])
    assert encoder.update_scan(before, other, masks) is None
