"""Merlin: the adapter against the published package with the same random weights, its masked crops, its texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.encoder import EncodingCancelled, OrganStatus, ScanEncoder, load_encoder
from napari_ctvlp.encoder.published.checkpoint import write_state
from napari_ctvlp.encoder.published.merlin import SHAPE, MerlinEncoder
from napari_ctvlp.encoder.published.merlin_masks import masked
from napari_ctvlp.encoder.registry import MARK
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.drawn import edited_masks
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import Audit, OrganMasks, Scan, StoredGrid
from tests.encoder.published import merlin_reference as reference
from tests.encoder.published.packages import run_package
from tests.encoder.published.states import merlin_state, write_bytes_vocabulary
from tests.encoder.published.test_colipri import as_ras
from tests.encoder.test_model_input import check_places

TEXTS = ["The liver is unremarkable.", "Gallstones (2 mm), left-sided; no other."]
LONG = ["long " * 120 + "text.", "short"]
PART = (64, 64, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An installed Merlin with small random weights, as the hub has it: a pickle of tensors."""
    place = tmp_path_factory.mktemp("merlin")
    torch.save(merlin_state(), place / "merlin.pt")
    write_state(place / "state.safetensors", merlin_state())  # for the package's process
    write_bytes_vocabulary(place)
    (place / MARK).write_text('{"adapter": "merlin"}')
    return place


@pytest.fixture(scope="module")
def encoder(folder) -> MerlinEncoder:
    encoder = MerlinEncoder.from_folder(folder, device="cpu")
    encoder.shape = (80, 64, 48)
    return encoder


@pytest.fixture(scope="module")
def belly():
    """The phantom of the other tests at a scale that fits the small volume of these."""
    from tests.conftest import phantom

    scan, masks = phantom.__wrapped__()
    small = replace(scan, spacing=(2.5, 1.4, 1.3), affine=scan.affine @ np.diag([2.5 / 3, 0.7, 0.65, 1]))
    return small, replace(masks, statistics=organ_statistics(small, masks.labels, masks.names))


@pytest.fixture(scope="module")
def embedding(encoder, belly):
    return encoder.encode_scan(*belly)


def compare(encoder, scan, state, work) -> None:
    """Input at the published shape, image vector of its middle, and texts within 1e-4 of the package's own."""
    tokens = encoder._tokens(TEXTS)
    given = {"part": np.array(PART), "ids": tokens["input_ids"].numpy(), "mask": tokens["attention_mask"].numpy()}
    made = run_package("merlin", given | {"said": np.array(TEXTS)} | as_ras(scan), state, work)
    encoder.shape = SHAPE
    volume = encoder.volume(scan)
    np.testing.assert_allclose(volume.numpy(), made["image"], atol=1e-4)
    middle = tuple(slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(SHAPE, PART, strict=True))
    expected = made["features"][0] / np.linalg.norm(made["features"][0])
    with torch.no_grad():
        found = encoder.network.images(volume[middle][None, None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    at_length = encoder._tokens(LONG)
    own = encoder.network.encode_text
    with torch.no_grad():
        pad = -at_length["input_ids"].shape[1] % 512
        hidden = own.text_encoder(
            input_ids=torch.nn.functional.pad(at_length["input_ids"], (0, pad), value=1),
            attention_mask=torch.nn.functional.pad(at_length["attention_mask"], (0, pad)),
        ).last_hidden_state[:, 0]
        slow = torch.nn.functional.normalize(own.linear_layer(hidden), dim=-1).numpy()
    np.testing.assert_allclose(encoder.encode_text(LONG), slow, atol=1e-4)  # one padded beside a long one too
    np.testing.assert_allclose(encoder._embed(["short"])[0], slow[1], atol=1e-4)
    rows = made["texts"] / np.linalg.norm(made["texts"], axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode_text(TEXTS), rows, atol=1e-4)
    clean = [" ".join(encoder.tokenizer.tokenize(t)) for t in made["clean"]]
    ours = [" ".join(encoder.tokenizer.convert_ids_to_tokens(row[1 : int(n) - 1])) for row, n in
            zip(given["ids"], given["mask"].sum(1), strict=True)]  # fmt: skip
    assert ours == clean


def test_image_vectors_equal_a_reference_of_our_own(encoder, belly):
    """Strictly loaded and without the package: the slow tests compare with that."""
    volume = encoder.volume(belly[0])
    with torch.no_grad():
        found = encoder.network.images(volume[None, None])[0]
        expected = reference.image_vector(merlin_state(), volume)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(encoder.encode_volume(belly[0]), expected.numpy(), atol=1e-4)


@pytest.mark.slow
def test_it_equals_the_package(folder, belly, tmp_path):
    encoder = MerlinEncoder.from_folder(folder, device="cpu")
    compare(encoder, belly[0], folder / "state.safetensors", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ts_abdomen/ct.nii.gz", "lidc_idri_0001_chest_ds2.nii.gz"])
def test_published_shapes_equal_the_package_on_real_scans(shared_data, tmp_path, name):
    from napari_ctvlp.scan import read_scan

    write_state(tmp_path / "model.safetensors", merlin_state(small=False))
    write_bytes_vocabulary(tmp_path)
    encoder = MerlinEncoder.from_folder(tmp_path, device="cpu")
    compare(encoder, read_scan(shared_data / "ct" / name), tmp_path / "model.safetensors", tmp_path)


def test_an_organ_is_the_volume_with_all_else_taken_away(encoder, embedding, belly):
    assert isinstance(encoder, ScanEncoder)
    scan, masks = belly
    volume, labels = encoder.volume(scan), encoder._labels(scan, masks)
    for row, organ in enumerate(embedding.organs):
        label = next(n for n, name in masks.names.items() if name == organ)
        alone = masked(volume, labels, label)
        assert (alone != volume).any() and torch.equal(alone[labels == label], volume[labels == label])
        far = np.argwhere(labels == label)
        outside = alone.clone()
        outside[tuple(slice(a - 2, b + 3) for a, b in zip(far.min(0), far.max(0), strict=True))] = 0
        assert not outside.any()
        with torch.no_grad():
            one = encoder.network.images(alone[None, None])[0].numpy()
        np.testing.assert_allclose(embedding.vectors[row], one, atol=1e-5)


def paint_over_the_liver(labels) -> None:
    labels[8:12, 12:40, 10:35] = 2


def erase_the_spleen(labels) -> None:
    labels[labels == 1] = 0


def add_a_colon(labels) -> None:
    labels[30:36, 20:40, 20:40] = 200


@pytest.mark.parametrize(
    ("change", "again"),
    [(paint_over_the_liver, {"liver", "kidney_right"}), (erase_the_spleen, set()), (add_a_colon, {"colon"})],
)
def test_only_organs_that_were_edited_go_through_the_network_again(
    encoder, embedding, belly, monkeypatch, change, again
):
    scan, masks = belly
    labels = masks.labels.copy()
    change(labels)
    after = edited_masks(scan, masks, labels, {200: "colon"})
    fresh = encoder.encode_scan(scan, after)
    ran, images = [], encoder.network.images
    monkeypatch.setattr(encoder.network, "images", lambda crops: ran.append(len(crops)) or images(crops))
    update = encoder.update_scan(embedding, scan, after)
    assert sum(ran) == len(again)
    assert update.organs == fresh.organs and update.status == fresh.status
    np.testing.assert_allclose(update.vectors, fresh.vectors, atol=1e-5)
    back = encoder.update_scan(update, scan, masks)
    known = [embedding.organs.index(organ) for organ in back.organs]
    np.testing.assert_allclose(back.vectors, embedding.vectors[known], atol=1e-5)


def test_a_label_with_another_name_is_another_organ(encoder, embedding, belly):
    scan, masks = belly
    other = replace(masks, names=masks.names | {5: "stomach", 1: "brain"}, statistics={})
    update, fresh = encoder.update_scan(embedding, scan, other), encoder.encode_scan(scan, other)
    assert update.organs == fresh.organs and update.status == fresh.status
    np.testing.assert_allclose(update.vectors, fresh.vectors, atol=1e-5)


def test_an_embedding_of_unknown_masks_is_not_updated(encoder, embedding, belly):
    scan, masks = belly
    assert encoder.update_scan(replace(embedding), scan, masks) is None  # as one that comes from the cache
    assert encoder.update_scan(embedding, scan, replace(masks, labels=masks.labels[:-2])) is None


def test_batches_of_any_size_agree(encoder, embedding, belly, monkeypatch):
    monkeypatch.setattr(encoder, "batch", 3)
    np.testing.assert_allclose(encoder.encode_scan(*belly).vectors, embedding.vectors, atol=1e-5)


def test_right_stays_right(encoder, belly):
    """R grows along the first axis: the liver, on the patient's right, lies in its upper half."""
    scan, masks = belly
    labels = encoder._labels(scan, masks)
    liver = next(n for n, name in masks.names.items() if name == "liver")
    spleen = next(n for n, name in masks.names.items() if name == "spleen")
    assert np.argwhere(labels == liver)[:, 0].mean() > labels.shape[0] / 2 > np.argwhere(labels == spleen)[:, 0].mean()


def test_the_whole_volume_has_a_vector_too(encoder, belly):
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_volume(belly[0])), 1, atol=1e-5)


def test_questions_scores_and_the_card(encoder, embedding):
    scores = {(s.organ, s.abnormality): s for s in score_abnormalities(embedding)}
    assert scores["liver", "liver_cyst"].probability is not None
    assert scores["gallbladder", "gallstones"].probability is None
    ranking = rank_organs(embedding, "stone in the left kidney")
    assert ranking.organs[0].organ == "kidney_left" and ranking.finding.abnormality == "kidney_stone"
    assert "masked crops" in encoder.card.summary and encoder.card.licence == "MIT"


def test_organs_out_of_its_reach(encoder, belly):
    scan, masks = belly
    names = {n: "brain" if name == "spleen" else name for n, name in masks.names.items()}
    statistics = organ_statistics(scan, masks.labels, names)
    found = encoder.encode_scan(scan, replace(masks, names=names, statistics=statistics))
    status = dict(zip(found.organs, found.status, strict=True))
    assert status["brain"] is OrganStatus.UNKNOWN and status["liver"] is OrganStatus.COMPLETE


@pytest.fixture(scope="module")
def tall():
    """1.1 m of 4 mm slices, of which a crop of 480 mm keeps the middle: organs within, across its edge, beyond it."""
    shape = (275, 30, 30)
    labels = np.zeros(shape, np.uint8)
    labels[130:150, 8:20, 8:20] = 5
    labels[60:90, 8:20, 8:20] = 2  # the crop begins near 78
    labels[10:20, 8:20, 8:20] = 51
    labels[190:198, 8:20, 8:20] = 3  # and ends near 198: all of it but a rim
    labels[100, 5, 5] = 4
    hu = np.where(labels > 0, 50, -1000).astype(np.int16)
    affine = np.array([[0, 0, 4, 0], [0, 4, 0, 0], [-4, 0, 0, 0], [0, 0, 0, 1]], float)
    stored = StoredGrid(shape[::-1], affine @ np.eye(4)[[2, 1, 0, 3]], "LPI")
    scan = Scan(hu, (4.0, 4.0, 4.0), affine, "tall", stored, Audit(()))
    names = {5: "liver", 2: "kidney_right", 51: "heart", 3: "kidney_left", 4: "gallbladder"}
    return scan, OrganMasks(labels, names, "phantom", statistics=organ_statistics(scan, labels, names))


def test_what_the_crop_takes_away_is_not_said_to_be_whole(folder, tall):
    """No scan's edge is near: only the volume of 480 mm cuts, and absence in what it cuts must not be claimed."""
    encoder = MerlinEncoder.from_folder(folder, device="cpu")
    encoder.shape = (96, 96, 160)
    scan, masks = tall
    assert not any(s.touches_edge for s in masks.statistics.values())
    found = encoder.encode_scan(scan, masks)
    status = dict(zip(found.organs, found.status, strict=True))
    assert status == {
        "liver": OrganStatus.COMPLETE, "kidney_right": OrganStatus.CUT, "heart": OrganStatus.OUTSIDE,
        "kidney_left": OrganStatus.COMPLETE, "gallbladder": OrganStatus.TOO_SMALL,
    }  # fmt: skip
    assert not found.vectors[found.organs.index("heart")].any()
    scores = {(s.organ, s.abnormality): s for s in score_abnormalities(found)}
    assert scores["heart", "cardiomegaly"].status == "N/A: outside of what this encoder sees"
    assert scores["kidney_right", "renal_atrophy"].status == "N/A: cut by field of view"
    absent = [s for s in scores.values() if s.organ == "kidney_right" and (s.probability or 1) <= 0.5]
    assert absent == []
    assert all(match.visual == 0 for match in rank_organs(found, "stone").organs if match.organ == "heart")


def test_cancel_and_progress(encoder, belly):
    seen = []
    encoder.encode_scan(*belly, progress=seen.append)
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)
    with pytest.raises(EncodingCancelled):
        encoder.encode_scan(*belly, cancelled=lambda: True)


@pytest.mark.parametrize("inside", ["model", "state_dict"])
def test_a_checkpoint_that_a_framework_wrapped_is_read(folder, encoder, tmp_path, inside):
    wrapped = {f"module.{name}": tensor for name, tensor in merlin_state().items()}
    torch.save({inside: wrapped, "epoch": 99}, tmp_path / "merlin.pt")
    write_bytes_vocabulary(tmp_path)
    assert MerlinEncoder.from_folder(tmp_path, device="cpu").card.revision == encoder.card.revision


def test_many_names_that_are_wrong_are_told_together(folder):
    state = merlin_state()
    gone = sorted(name for name in state if ".bn2." in name and "tracked" not in name)[:10]
    for name in gone:
        state.pop(name)
    state |= {"extra.one": torch.zeros(1), "extra.two": torch.zeros(1)}
    with pytest.raises(UserError) as caught:
        MerlinEncoder(state, folder)
    told = str(caught.value)
    assert all(f"'{name}'" in told for name in (*gone[:8], "extra.one", "extra.two")) and "and 2 more" in told
    assert "\n" not in told and gone[9] not in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("logit_scale"), "logit_scale"),
        (lambda s: s.pop("encode_image.i3_resnet.layer3.1.bn2.running_var"), r"layer3\.1\.bn2\.running_var"),
        (lambda s: s.update({"encode_image.i3_resnet.fc.weight": torch.zeros(1)}), "unknown tensor"),
        (lambda s: s.update({"encode_image.i3_resnet.conv1.weight": torch.zeros(8, 1, 3, 7, 7)}), "another model"),
        (lambda s: s.update({"encode_text.linear_layer.bias": torch.zeros(3)}), "linear_layer"),
    ],
)
def test_names_and_shapes_are_strict(folder, change, words):
    state = merlin_state()
    change(state)
    with pytest.raises(UserError, match=words):
        MerlinEncoder(state, folder)


DAMAGED = [("merges.txt", "#version: 0.2\na b c\n"), ("merges.txt", "a\n"), ("merges.txt", "zz yy\n")]


def test_damaged_vocabularies_are_refused(folder, tmp_path):
    for name, text in (("vocab.json", "{}"), ("vocab.json", "["), ("merges.txt", None), *DAMAGED):
        write_bytes_vocabulary(tmp_path)
        (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            MerlinEncoder(merlin_state(), tmp_path)


def test_it_is_loaded_by_the_mark_in_its_folder(folder):
    encoder = load_encoder(folder, device="cpu")
    assert encoder.shape == (224, 224, 160) and encoder.card.name == "merlin"


def test_what_it_is_fed_lies_where_it_says(encoder, belly):
    check_places(encoder, belly[0], lambda hu: (hu + 1000) / 2000, tolerance=0.002)
