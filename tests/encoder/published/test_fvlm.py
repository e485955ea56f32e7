"""fVLM: the adapter against a forward pass written apart from it, its checkpoints, its traps."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.encoder import EncodingCancelled, OrganStatus, ScanEncoder, load_encoder
from napari_ctvlp.encoder.published import fvlm_windows
from napari_ctvlp.encoder.published.checkpoint import write_state
from napari_ctvlp.encoder.published.fvlm import MEMBERS, FvlmEncoder, convert
from napari_ctvlp.encoder.published.fvlm_items import items
from napari_ctvlp.encoder.published.fvlm_network import ORGANS
from napari_ctvlp.encoder.registry import MARK
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.statistics import organ_statistics
from tests.encoder.published import fvlm_reference as reference
from tests.encoder.published.states import fvlm_state, write_vocabulary
from tests.encoder.test_model_input import check_places


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An installed fVLM with small random weights."""
    place = tmp_path_factory.mktemp("fvlm")
    write_state(place / "model.safetensors", fvlm_state())
    write_vocabulary(place)
    (place / MARK).write_text('{"adapter": "fvlm"}')
    return place


@pytest.fixture(scope="module")
def encoder(folder) -> FvlmEncoder:
    return load_encoder(folder, device="cpu")


@pytest.fixture(scope="module")
def embedding(encoder, chest):
    return encoder.encode_scan(*chest)


def rows(embedding) -> dict[str, np.ndarray]:
    """The four organs' vectors by fVLM's own names."""
    at = {organ: i for i, organ in enumerate(embedding.organs)}
    return {name: embedding.vectors[at[members[0]]] for name, members in embedding.groups.items()}


def other_masks(scan, masks, labels):
    names = {n: name for n, name in masks.names.items() if (labels == n).any()}
    return replace(masks, labels=labels, names=names, statistics=organ_statistics(scan, labels, names))


# -- the same numbers as a reference ------------------------------------------------------------------------------


def test_organ_by_organ_it_equals_the_reference(encoder, chest):
    found = rows(encoder.encode_scan(*chest, shared=False))
    assert encoder.passes == 4 and isinstance(encoder, ScanEncoder)
    weights, (image, labels) = fvlm_state(), reference.prepared(*chest)
    for number, organ in enumerate(ORGANS):
        own = reference.windowed(image, labels, [number])
        expected = reference.organ_vectors(weights, *own, [number])[0]
        np.testing.assert_allclose(found[organ], expected, atol=1e-4)


def test_in_one_pass_it_equals_the_reference_in_the_shared_window(encoder, chest):
    found = rows(encoder.encode_scan(*chest))
    assert encoder.passes < 4
    weights, (image, labels) = fvlm_state(), reference.prepared(*chest)
    resized = fvlm_windows.resize_labels(chest[1].labels, table(chest[1]), chest[0].spacing)
    for window in fvlm_windows.plan_windows(resized):
        own = reference.windowed(image, labels, window.organs)
        for organ, expected in zip(window.organs, reference.organ_vectors(weights, *own, window.organs), strict=True):
            np.testing.assert_allclose(found[ORGANS[organ]], expected, atol=1e-4)


def table(masks) -> np.ndarray:
    made = np.zeros(256, np.uint8)
    for label, name in masks.names.items():
        for number, organ in enumerate(ORGANS):
            if name in MEMBERS[organ]:
                made[label] = number + 1
    return made


def test_what_it_is_fed_lies_where_it_says(encoder, chest):
    check_places(encoder, chest[0], lambda hu: (hu + 1150) / 1500, tolerance=0.002)


def test_its_windows_are_cut_from_what_it_shows(encoder, chest):
    scan, masks = chest
    shown = encoder.model_input(scan).values[0][::-1]  # D grows to superior
    resized = fvlm_windows.resize_labels(masks.labels, table(masks), scan.spacing)
    window = fvlm_windows.plan_windows(resized)[0]
    image = fvlm_windows.window_image(scan.hu, resized, window, lambda _: None)[0, 0].numpy()
    spans = [
        (max(s, a), min(s + n, b)) for s, n, (a, b) in zip(window.start, window.shape, resized.filled, strict=True)
    ]
    inside = tuple(slice(a - s, b - s) for (a, b), s in zip(spans, window.start, strict=True))
    np.testing.assert_allclose(image[inside], shown[tuple(slice(a, b) for a, b in spans)], atol=1e-5)


def test_texts_equal_the_reference(encoder):
    texts = ["Not Emphysema.", "Pericardial effusion.", "a nodule in the left lung"]
    found = encoder.encode_text(texts)
    for row, text in zip(found, texts, strict=True):
        ids = encoder.tokenizer(text)["input_ids"]
        np.testing.assert_allclose(row, reference.text_vector(fvlm_state(), ids), atol=1e-4)
    assert encoder.tokenizer.unk_token_id not in encoder.tokenizer("emphysema")["input_ids"]


def test_scores_are_the_softmax_of_the_two_prompts(encoder, embedding):
    scores = {(s.organ, s.abnormality): s for s in score_abnormalities(embedding)}
    lung = rows(embedding)["lung"]
    negative, positive = encoder.encode_text(["Not Atelectatic.", "Atelectatic."])
    logits = torch.tensor([lung @ negative, lung @ positive]) / 0.07
    assert scores["lung", "atelectasis"].probability == pytest.approx(float(logits.softmax(0)[1]), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lidc", "abdomen"])
def test_published_shapes_on_real_scans(shared_data, tmp_path, name):
    """Full-size random weights on a real scan: strict names, the reference's numbers, at least two organs a pass."""
    from napari_ctvlp.scan import read_masks, read_scan

    state = fvlm_state(small=False)
    write_state(tmp_path / "model.safetensors", state)
    write_vocabulary(tmp_path)
    encoder = FvlmEncoder.from_folder(tmp_path, device="cpu")
    if name == "lidc":
        scan = read_scan(shared_data / "ct" / "lidc_idri_0001_chest_ds2.nii.gz")
        masks = rough_chest(scan)
    else:
        scan = read_scan(shared_data / "ct" / "ts_abdomen" / "ct.nii.gz")
        masks = read_masks(shared_data / "ct" / "ts_abdomen" / "seg_v2_multilabel.nii.gz", scan)
    found = rows(encoder.encode_scan(scan, masks))
    assert found and encoder.passes < len(found)
    image, labels = reference.prepared(scan, masks)
    resized = fvlm_windows.resize_labels(masks.labels, table(masks), scan.spacing)
    for window in fvlm_windows.plan_windows(resized):
        own = reference.windowed(image, labels, window.organs)
        for organ, expected in zip(window.organs, reference.organ_vectors(state, *own, window.organs), strict=True):
            np.testing.assert_allclose(found[ORGANS[organ]], expected, atol=1e-4)


def rough_chest(scan):
    """Lungs of a real chest by threshold, and boxes for what lies between them: the scan has no masks."""
    from scipy import ndimage as ndi

    from napari_ctvlp.scan.types import OrganMasks

    air = ndi.binary_opening(scan.hu < -600, iterations=2)
    parts, _ = ndi.label(air)
    edge = set(np.unique(np.concatenate([parts[:, 0].ravel(), parts[:, -1].ravel(), parts[..., 0].ravel()])))
    sizes = np.bincount(parts.ravel())
    sizes[[0, *edge]] = 0
    lung = parts == sizes.argmax()
    labels = np.zeros(scan.hu.shape, np.uint8)
    middle = int(np.argwhere(lung)[:, 2].mean())
    labels[..., middle:][lung[..., middle:]] = 10
    labels[..., :middle][lung[..., :middle]] = 12
    i, p, _ = (int(v) for v in np.argwhere(lung).mean(0))
    labels[i : i + 30, p - 40 : p, middle - 20 : middle + 30] = 51
    labels[i - 20 : i + 50, p + 20 : p + 35, middle : middle + 15] = 52
    names = {10: "lung_upper_lobe_left", 12: "lung_upper_lobe_right", 51: "heart", 52: "aorta"}
    return OrganMasks(labels, names, "rough", statistics=organ_statistics(scan, labels, names))


# -- traps --------------------------------------------------------------------------------------------------------


def test_orientation_comes_from_the_scan_not_from_the_file(chest):
    """D grows to superior and W to left, whatever the file's order was."""
    scan, masks = chest
    resized = fvlm_windows.resize_labels(masks.labels, table(masks), scan.spacing)
    heart, lung = resized.boxes[1], resized.boxes[0]
    assert heart[0][0] > resized.boxes[3][0][0] and heart[0][1] < lung[0][1]  # aorta reaches lower, lung higher
    window = fvlm_windows.Window(tuple(a for a, _ in resized.field), tuple(b - a for a, b in resized.field), (0,))
    bright = scan.hu.copy()
    bright[5, 30, 100] = 3000  # high up and far to the patient's left
    image = fvlm_windows.window_image(bright, resized, window, lambda _: None)[0, 0]
    plain = fvlm_windows.window_image(scan.hu, resized, window, lambda _: None)[0, 0]
    d, _, w = ((image - plain).abs() > 1e-3).nonzero().float().mean(0).tolist()
    assert d > image.shape[0] / 2 and w > image.shape[2] / 2


def test_an_intercept_applied_twice_is_refused(encoder, chest):
    scan, masks = chest
    wrong = np.maximum(scan.hu.astype(int) - 1024, -2048).astype(np.int16)
    with pytest.raises(UserError, match="applied twice"):
        encoder.encode_scan(replace(scan, hu=wrong), masks)


def test_a_lung_larger_than_the_window_gets_a_larger_one(encoder, chest):
    scan, masks = chest
    tall = replace(scan, spacing=(9.0, 4.0, 3.5))  # 9 mm slices make it 414 mm tall, 138 slices of 3 mm
    resized = fvlm_windows.resize_labels(masks.labels, table(masks), tall.spacing)
    (lung,) = [w for w in fvlm_windows.plan_windows(resized, shared=False) if w.organs == (0,)]
    assert lung.shape[0] > 112
    found = encoder.encode_scan(tall, other_masks(tall, masks, masks.labels))
    np.testing.assert_allclose(np.linalg.norm(rows(found)["lung"]), 1, atol=1e-5)


@pytest.mark.parametrize("spacing", [(5.0, 4.0, 3.5), (9.0, 4.0, 3.5), (12.0, 6.1, 5.3)])
@pytest.mark.parametrize("shared", [True, False])
def test_no_window_cuts_an_organ(chest, spacing, shared):
    _, masks = chest
    resized = fvlm_windows.resize_labels(masks.labels, table(masks), spacing)
    plan = fvlm_windows.plan_windows(resized, shared=shared)
    assert sorted(organ for window in plan for organ in window.organs) == [0, 1, 2, 3]
    for window in plan:
        for organ in window.organs:
            sides = zip(resized.boxes[organ], window.start, window.shape, strict=True)
            assert all(start <= a and b <= start + n for (a, b), start, n in sides)


def test_a_missing_organ_is_not_a_score_of_zero(encoder, chest):
    scan, masks = chest
    labels = np.where(masks.labels == 51, 0, masks.labels)
    embedding = encoder.encode_scan(scan, other_masks(scan, masks, labels))
    scores = {(s.organ, s.abnormality): s for s in score_abnormalities(embedding)}
    assert "heart" not in embedding.groups
    assert scores["heart", "cardiomegaly"].probability is None
    assert scores["heart", "cardiomegaly"].status.startswith("N/A")
    assert scores["lung", "emphysema"].probability is not None


def test_organs_that_the_scan_cuts(encoder, embedding, chest):
    """Aorta and esophagus leave every chest scan; a lung that does is cut off."""
    scan, masks = chest
    status = dict(zip(embedding.organs, embedding.status, strict=True))
    assert status["aorta"] is OrganStatus.COMPLETE and status["esophagus"] is OrganStatus.COMPLETE
    assert status["liver"] is OrganStatus.UNKNOWN
    labels = masks.labels.copy()
    labels[0:6][labels[6:12] == 10] = 10
    cut = encoder.encode_scan(scan, other_masks(scan, masks, labels))
    assert {s for o, s in zip(cut.organs, cut.status, strict=True) if "lobe" in o} == {OrganStatus.CUT}


def test_no_organ_of_its_own(encoder, chest):
    scan, masks = chest
    labels = np.where(masks.labels == 5, 5, 0).astype(np.uint8)
    embedding = encoder.encode_scan(scan, other_masks(scan, masks, labels))
    assert embedding.status == (OrganStatus.UNKNOWN,) and encoder.passes == 0
    assert all(s.probability is None for s in score_abnormalities(embedding))


def test_cancel_and_progress(encoder, chest):
    seen = []
    encoder.encode_scan(*chest, progress=seen.append)
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)
    with pytest.raises(EncodingCancelled):
        encoder.encode_scan(*chest, cancelled=lambda: len(seen) > 0)


# -- questions ----------------------------------------------------------------------------------------------------


def test_sixteen_items_with_their_own_prompts(encoder):
    by_organ = {organ: [e for e in items() if e.organs == (organ,)] for organ in ORGANS}
    assert [len(by_organ[organ]) for organ in ORGANS] == [11, 3, 1, 1]
    prompts = {e.key: (e.positive, e.negative) for e in items()}
    assert prompts["emphysema"] == (("Emphysema.",), ("Not Emphysema.",))
    assert prompts["lung_fibrosis"] == (("Pulmonary fibrotic.",), ("Not Pulmonary fibrotic.",))
    assert len(encoder.card.abnormalities) == 16 and encoder.card.licence == "unstated"


def test_a_question_finds_the_lung_as_a_whole(embedding):
    ranking = rank_organs(embedding, "emphysema")
    assert ranking.matched and "lobe" in ranking.organs[0].organ
    assert ranking.finding.organ == "lung" and ranking.finding.probability is not None
    lobe = rank_organs(embedding, "emphysema of the left upper lobe")
    assert lobe.organs[0].organ == "lung_upper_lobe_left" and lobe.finding.organ == "lung"
    stone = rank_organs(embedding, "liver cyst")
    assert stone.finding.probability is None and "unknown" in stone.finding.status


def test_standing_prompts_are_encoded_once(encoder, embedding, monkeypatch):
    from napari_ctvlp.ask import prepare

    prepare(encoder)
    asked = []
    plain = FvlmEncoder.encode_text
    monkeypatch.setattr(FvlmEncoder, "encode_text", lambda self, texts: (asked.extend(texts), plain(self, texts))[1])
    score_abnormalities(embedding)
    assert asked == []


def test_texts_are_kept_in_the_folder_for_the_next_time(folder, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(folder, tmp_path / "own", ignore=shutil.ignore_patterns("texts.safetensors"))
    texts = [f"prompt number {i}" for i in range(40)]
    first = load_encoder(tmp_path / "own", device="cpu").encode_text(texts)
    again = load_encoder(tmp_path / "own", device="cpu")
    monkeypatch.setattr(again._texts, "_encode", lambda _: pytest.fail("encoded twice"))
    np.testing.assert_array_equal(again.encode_text(texts[::-1]), first[::-1])
    assert again.encode_text([]).shape == (0, 32)
    write_state(tmp_path / "own" / "model.safetensors", fvlm_state(seed=9))  # other weights, other vectors
    other = load_encoder(tmp_path / "own", device="cpu").encode_text(texts)
    assert np.abs(other - first).max() > 0.01
    (tmp_path / "own" / "texts.safetensors").write_bytes(b"damaged")
    np.testing.assert_allclose(load_encoder(tmp_path / "own", device="cpu").encode_text(texts), other, atol=1e-6)


def test_the_doctor_examines_it(folder, chest):
    """It sees the lung as one, and so cannot tell its sides apart."""
    from napari_ctvlp.doctor import examine

    checks = {check.name: check for check in examine(str(folder), chest)}
    assert checks["licence"].verdict == "note" and checks["calibration"].verdict == "note"
    assert checks["HU"].verdict == "ok" and "refused" in checks["HU"].told
    assert checks["left/right"].verdict == "note" and "both sides as one (lung)" in checks["left/right"].told


# -- checkpoints --------------------------------------------------------------------------------------------------


def saved(path, **beside):
    torch.save({"model": fvlm_state(), "epoch": 3, **beside}, path)
    return path


def test_a_pth_of_tensors_is_read_without_unpickling(tmp_path, encoder):
    again = FvlmEncoder.from_checkpoint(saved(tmp_path / "a.pth"), write_vocabulary(tmp_path), device="cpu")
    assert again.card.revision == encoder.card.revision


class Config:
    """Stands for what a training framework pickles beside its tensors."""


def test_a_pth_with_objects_is_refused_until_the_user_trusts_it(tmp_path):
    path = saved(tmp_path / "b.pth", config=Config())
    with pytest.raises(UserError) as caught:
        convert(path, tmp_path / "model.safetensors")
    assert f"napari-ctvlp install fvlm --checkpoint {path} --unpickle" in str(caught.value)
    assert not (tmp_path / "model.safetensors").exists()
    with pytest.warns(UserWarning, match="any code"):
        convert(path, tmp_path / "model.safetensors", unpickle=True)
    write_vocabulary(tmp_path)
    assert FvlmEncoder.from_folder(tmp_path, device="cpu").card.dim == 32


def test_a_malicious_pickle_does_not_run(tmp_path):
    marker = tmp_path / "owned"

    class Malicious:
        def __reduce__(self):
            return (type(tmp_path).touch, (marker,))

    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Malicious()))
    for path in (saved(tmp_path / "c.pth", config=Malicious()), tmp_path / "raw.pth"):
        with pytest.raises(UserError):
            convert(path, tmp_path / "model.safetensors")
    assert not marker.exists()


def test_damaged_checkpoints_are_refused_in_one_sentence(tmp_path):
    whole = saved(tmp_path / "d.pth").read_bytes()
    (tmp_path / "half.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("not a checkpoint")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"model": {"a": 1}}, tmp_path / "empty.pth")
    for name in ("half.pth", "text.pth", "list.pth", "empty.pth", "absent.pth"):
        with pytest.raises(UserError, match=name) as caught:
            convert(tmp_path / name, tmp_path / "out.safetensors")
        assert "\n" not in str(caught.value) and "unpickle" not in str(caught.value)


def test_what_is_written_can_be_read_by_whom_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        convert(saved(tmp_path / "e.pth"), tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("query_tokens"), "lacks the tensor 'query_tokens'"),
        (lambda s: s.pop("visual_encoder.blocks.11.norm2.bias"), "visual_encoder.blocks.11.norm2.bias"),
        (lambda s: s.pop("text_encoder.embeddings.word_embeddings.weight"), "word_embeddings"),
        (lambda s: s.update({"vision_projs.4.weight": torch.zeros(32, 64)}), "unknown tensor 'vision_projs.4.weight'"),
        (lambda s: s.update({"temp": torch.zeros(2)}), "'temp'"),
        (lambda s: s.update({"text_proj.bias": torch.full((32,), torch.nan)}), "not finite"),
        (lambda s: s.update({"visual_encoder.patch_embedding.patch_embeddings.weight": torch.zeros(64, 1, 8, 8, 8)}),
         "another model"),
    ],
)  # fmt: skip
def test_names_and_shapes_are_strict(tmp_path, change, words):
    state = fvlm_state()
    change(state)
    write_state(tmp_path / "model.safetensors", state)
    write_vocabulary(tmp_path)
    with pytest.raises(UserError, match=words):
        FvlmEncoder.from_folder(tmp_path)


def test_the_head_that_guesses_words_may_be_there(tmp_path):
    state = fvlm_state() | {"text_encoder.cls.predictions.bias": torch.zeros(200)}
    write_state(tmp_path / "model.safetensors", state)
    write_vocabulary(tmp_path)
    assert FvlmEncoder.from_folder(tmp_path, device="cpu")


def test_a_vocabulary_that_does_not_fit_is_refused(tmp_path):
    write_state(tmp_path / "model.safetensors", fvlm_state())
    with pytest.raises(UserError, match=r"vocab\.txt"):
        FvlmEncoder.from_folder(tmp_path)
    (tmp_path / "vocab.txt").write_text("one\ntwo\n")
    with pytest.raises(UserError, match=r"lacks \[CLS\]"):
        FvlmEncoder.from_folder(tmp_path)
    write_vocabulary(tmp_path).write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(str, range(300))]))
    with pytest.raises(UserError, match="another one"):
        FvlmEncoder.from_folder(tmp_path)


def test_a_calibration_of_its_own_is_used(folder, chest, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "own")
    (tmp_path / "own" / "calibration.json").write_text('{"default": [1, 0], "by_key": {"lung/emphysema": [0.0, 2.0]}}')
    encoder = load_encoder(tmp_path / "own", device="cpu")
    scores = {(s.organ, s.abnormality): s.probability for s in score_abnormalities(encoder.encode_scan(*chest))}
    assert scores["lung", "emphysema"] == pytest.approx(1 / (1 + np.exp(-2)))


def test_a_calibration_of_other_weights_is_not_used(folder, tmp_path):
    import shutil

    from napari_ctvlp.doctor import calibration_told
    from napari_ctvlp.encoder.artifact import write_calibration
    from napari_ctvlp.encoder.contract import Calibration

    own = tmp_path / "own"
    shutil.copytree(folder, own)
    write_calibration(own, Calibration((0.5, 1.0)), load_encoder(own, device="cpu").card.revision)
    assert load_encoder(own, device="cpu").calibration == Calibration((0.5, 1.0))
    write_state(own / "model.safetensors", fvlm_state(seed=9))
    with pytest.warns(UserWarning, match="fitted for other weights"):
        encoder = load_encoder(own, device="cpu")
    assert not encoder.calibration.fitted
    verdict, told = calibration_told(encoder)
    assert verdict == "warning" and told == encoder.calibration.note


def test_texts_of_another_vocabulary_are_encoded_anew(folder, tmp_path):
    import shutil

    own = tmp_path / "own"
    shutil.copytree(folder, own, ignore=shutil.ignore_patterns("texts.safetensors"))
    texts = [f"prompt number {i}" for i in range(40)]
    first = load_encoder(own, device="cpu").encode_text(texts)
    lines = (own / "vocab.txt").read_text().splitlines()
    (own / "vocab.txt").write_text("\n".join([*lines[:20], *lines[20:][::-1]]) + "\n")
    assert np.abs(load_encoder(own, device="cpu").encode_text(texts) - first).max() > 0.01


# -- masks that are edited ----------------------------------------------------------------------------------------


def test_other_masks_are_encoded_anew_only_where_a_window_is_another(encoder, embedding, chest):
    scan, masks = chest
    aorta = next(n for n, name in masks.names.items() if name == "aorta")
    labels = masks.labels.copy()
    inside = np.argwhere(labels == aorta)
    middle = inside[len(inside) // 2]
    labels[tuple(middle)] = 0  # within its box: no window moves
    after = other_masks(scan, masks, labels)
    update, fresh = encoder.update_scan(embedding, scan, after), encoder.encode_scan(scan, after)
    assert encoder.passes > 0
    assert update.organs == fresh.organs and update.status == fresh.status and update.groups == fresh.groups
    np.testing.assert_array_equal(update.vectors, fresh.vectors)
    encoder.update_scan(embedding, scan, after)
    assert encoder.passes == 0
    half = np.where(
        (labels == aorta) & (np.arange(labels.shape[0])[:, None, None] > np.median(inside[:, 0])), 0, labels
    )
    smaller = other_masks(scan, masks, half)
    again = encoder.update_scan(update, scan, smaller)
    np.testing.assert_array_equal(again.vectors, encoder.encode_scan(scan, smaller).vectors)


def test_without_its_windows_an_embedding_is_not_updated(encoder, embedding, chest):
    scan, masks = chest
    assert encoder.update_scan(replace(embedding), scan, masks) is None  # as one that comes from the cache
    assert encoder.update_scan(embedding, replace(scan, hu=scan.hu[:-2]), masks) is None
