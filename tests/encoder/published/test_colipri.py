"""COLIPRI: the adapter against the published package with the same random weights, its windows, its pooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.encoder import EncodingCancelled, OrganStatus, ScanEncoder, load_encoder
from napari_ctvlp.encoder.published.checkpoint import write_state
from napari_ctvlp.encoder.published.colipri import ColipriEncoder
from napari_ctvlp.encoder.published.colipri_grid import SPACING, cube_starts, known_organs, labels_on_grid
from napari_ctvlp.encoder.registry import MARK
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.drawn import edited_masks
from napari_ctvlp.scan.statistics import organ_statistics
from tests.encoder.published.packages import run_package
from tests.encoder.published.states import colipri_state, write_vocabulary
from tests.encoder.test_model_input import check_places

SIZE = 96
TEXTS = ["No lung nodules present", "a nodule", "Pericardial effusion in the left side, and a large one."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An installed COLIPRI with small random weights."""
    place = tmp_path_factory.mktemp("colipri")
    write_state(place / "model.safetensors", colipri_state())
    write_vocabulary(place)
    (place / MARK).write_text('{"adapter": "colipri"}')
    return place


@pytest.fixture(scope="module")
def encoder(folder) -> ColipriEncoder:
    encoder = ColipriEncoder.from_folder(folder, device="cpu")
    encoder.size = SIZE
    return encoder


@pytest.fixture(scope="module")
def small_chest(chest):
    """The chest phantom at a third of its size, so that it fits a cube of 192 mm."""
    scan, masks = chest
    spacing = tuple(s * 0.55 for s in scan.spacing)
    small = replace(scan, spacing=spacing, affine=scan.affine @ np.diag([0.55, 0.55, 0.55, 1]))
    return small, replace(masks, statistics=organ_statistics(small, masks.labels, masks.names))


@pytest.fixture(scope="module")
def embedding(encoder, small_chest):
    return encoder.encode_scan(*small_chest)


def as_ras(scan) -> dict[str, np.ndarray]:
    """A scan as nibabel would give it: array in R, A, S order and affine to RAS mm."""
    turned = scan.hu.transpose(2, 1, 0)[::-1, ::-1, ::-1]
    affine = np.diag([scan.spacing[2], scan.spacing[1], scan.spacing[0], 1.0])
    return {"ras": np.ascontiguousarray(turned), "affine": affine}


def package(encoder, scan, folder, work) -> dict[str, np.ndarray]:
    tokens = encoder.tokenizer(TEXTS, padding="max_length", max_length=64, truncation=True, return_tensors="np")
    given = {
        **as_ras(scan),
        "size": np.array(encoder.size),
        "ids": tokens["input_ids"],
        "mask": tokens["attention_mask"],
    }
    return run_package("colipri", given, folder / "model.safetensors", work)


def compare(encoder, scan, masks, folder, work) -> None:
    """Input, dense grid and texts within 1e-4 of the package's own."""
    made = package(encoder, scan, folder, work)
    images = []
    plain = encoder.network.grid
    encoder.network.grid = lambda image: (images.append(image), plain(image))[1]
    try:
        dense = encoder.encode_scan(scan, masks).dense
    finally:
        del encoder.network.grid
    assert len(images) == 1
    np.testing.assert_allclose(images[0][0, 0].numpy(), made["image"], atol=1e-4)
    expected = torch.nn.functional.normalize(torch.from_numpy(made["grid"]), dim=0).numpy()
    np.testing.assert_allclose(dense.vectors, expected.transpose(0, 3, 2, 1)[:, ::-1, ::-1, ::-1], atol=1e-4)
    np.testing.assert_allclose(encoder.encode_text(TEXTS), made["texts"], atol=1e-4)


@pytest.mark.slow
def test_it_equals_the_package(encoder, small_chest, folder, tmp_path):
    compare(encoder, *small_chest, folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lidc", "abdomen"])
def test_published_shapes_equal_the_package_on_real_scans(shared_data, tmp_path, name):
    """Sixteen blocks of width 864 on a real scan, in a smaller cube than 192 for the time it takes."""
    from napari_ctvlp.scan import read_masks, read_scan
    from tests.encoder.published.test_fvlm import rough_chest

    write_state(tmp_path / "model.safetensors", colipri_state(small=False))
    write_vocabulary(tmp_path)
    encoder = ColipriEncoder.from_folder(tmp_path, device="cpu")
    encoder.size = 64
    if name == "lidc":
        scan = read_scan(shared_data / "ct" / "lidc_idri_0001_chest_ds2.nii.gz")
        masks = rough_chest(scan)
    else:
        scan = read_scan(shared_data / "ct" / "ts_abdomen" / "ct.nii.gz")
        masks = read_masks(shared_data / "ct" / "ts_abdomen" / "seg_v2_multilabel.nii.gz", scan)
    masks = replace(masks, statistics={})  # without boxes: the middle cube, as the package takes it
    compare(encoder, scan, masks, tmp_path, tmp_path)


def test_organs_are_the_mask_weighted_mean_of_the_grid(encoder, embedding, small_chest):
    """Checked voxel by voxel at the scan's own grid: the cell in which a voxel lies, found by its affine."""
    _, masks = small_chest
    assert isinstance(encoder, ScanEncoder)
    to_cell = np.linalg.inv(embedding.dense.affine)
    at = dict(zip(embedding.organs, range(len(embedding.organs)), strict=True))
    for organ in ("heart", "lung_upper_lobe_left", "aorta"):
        label = next(n for n, name in masks.names.items() if name == organ)
        voxels = np.argwhere(masks.labels == label)
        cells = np.rint(voxels @ to_cell[:3, :3].T + to_cell[:3, 3]).astype(int)
        assert cells.min() >= 0 and (cells.max(0) < embedding.dense.vectors.shape[1:]).all()
        own = embedding.dense.cells(organ)
        gap = np.abs(own.places[:, None] - voxels[None, ::7]).max(-1) if len(voxels) < 4000 else np.zeros((1, 1))
        assert len(own.places) == len(own.vectors) and (gap.min(1) <= own.size.max()).all()
        assert {tuple(c) for c in np.rint(own.places @ to_cell[:3, :3].T + to_cell[:3, 3]).astype(int)} == {
            tuple(c) for c in cells
        }
        rough = embedding.dense.vectors[:, cells[:, 0], cells[:, 1], cells[:, 2]].mean(1)
        assert rough @ embedding.vectors[at[organ]] / np.linalg.norm(rough) > 0.98


def test_left_is_left(embedding, small_chest):
    """A cell of the dense grid is where its affine says: the left lung's cells lie to the left of the right one's."""
    scan, _ = small_chest
    to_world = scan.affine @ embedding.dense.affine
    corner = to_world @ [0, 0, 0, 1]
    far = to_world @ [*(n - 1 for n in embedding.dense.vectors.shape[1:]), 1]
    assert far[0] > corner[0] and far[1] > corner[1] and far[2] < corner[2]  # L, P grow and S falls
    middle = (corner + far)[:3] / 2
    expected = (scan.affine @ [*((np.array(scan.hu.shape) - 1) / 2), 1])[:3]
    np.testing.assert_allclose(middle, expected, atol=2.01)


def test_a_mirrored_scan_gives_another_answer(encoder, embedding, small_chest):
    scan, masks = small_chest
    turned = replace(scan, hu=np.ascontiguousarray(scan.hu[..., ::-1]))
    labels = np.ascontiguousarray(masks.labels[..., ::-1])
    other = replace(masks, labels=labels, statistics=organ_statistics(turned, labels, masks.names))
    assert np.abs(encoder.encode_scan(turned, other).vectors - embedding.vectors).max() > 0.02


def test_status_and_unknown_organs(encoder, embedding):
    status = dict(zip(embedding.organs, embedding.status, strict=True))
    assert status["heart"] is OrganStatus.COMPLETE and status["liver"] is OrganStatus.CUT
    assert "urinary_bladder" not in encoder.card.organs and "kidney_left/kidney_stone" in encoder.card.abnormalities


def test_a_long_scan_is_seen_in_several_windows(encoder, chest):
    """The whole phantom is 367 x 300 x 300 mm, the cube of this test 192 mm."""
    seen = []
    found = encoder.encode_scan(*chest, progress=seen.append)
    assert seen[-1] == 1 and seen == sorted(seen)
    status = dict(zip(found.organs, found.status, strict=True))
    assert status["lung_upper_lobe_left"] is OrganStatus.COMPLETE
    known = [i for i, s in enumerate(found.status) if s is OrganStatus.COMPLETE]
    np.testing.assert_allclose(np.linalg.norm(found.vectors[known], axis=1), 1, atol=1e-5)


def test_no_cube_cuts_an_organ(encoder, chest):
    """All of what is known reaches the grid, however many cubes that takes."""
    scan, masks = chest
    cubes = encoder._cubes(scan, masks)
    shape = [along[-1] - along[0] + encoder.size for along in cubes]
    labels = labels_on_grid(scan, masks, [along[0] for along in cubes], shape)
    for label, name in known_organs(masks).items():
        found = np.count_nonzero(labels == label) * SPACING**3 / 1000
        assert found == pytest.approx(masks.statistics[name].volume_ml, rel=0.12), name


def test_edited_masks_are_pooled_from_the_grid_that_was_kept(encoder, embedding, small_chest, monkeypatch):
    scan, masks = small_chest
    labels = masks.labels.copy()
    labels[28:34, 18:42, 44:62] = 52  # aorta painted into the heart
    labels[labels == 15] = 0
    after = edited_masks(scan, masks, labels, {})
    fresh = encoder.encode_scan(scan, after)
    monkeypatch.setattr(encoder.network, "grid", None)  # the network is not run again
    update = encoder.update_scan(embedding, scan, after)
    assert update.organs == fresh.organs and update.status == fresh.status and "esophagus" not in update.organs
    np.testing.assert_allclose(update.vectors, fresh.vectors, atol=1e-6)
    for organ in fresh.organs:
        np.testing.assert_array_equal(update.dense.cells(organ).places, fresh.dense.cells(organ).places)
        np.testing.assert_array_equal(update.dense.cells(organ).vectors, fresh.dense.cells(organ).vectors)
    back = encoder.update_scan(update, scan, masks)
    np.testing.assert_allclose(back.vectors, embedding.vectors, atol=1e-6)


def test_a_grid_that_does_not_serve_is_not_used(encoder, embedding, small_chest, chest):
    scan, masks = small_chest
    assert encoder.update_scan(replace(embedding, dense=None), scan, masks) is None  # as one from the cache
    assert encoder.update_scan(embedding, replace(scan, hu=scan.hu[:-2]), masks) is None
    long, cut = chest
    few = replace(cut, statistics={"trachea": replace(cut.statistics["heart"], box=((0, 6), (0, 6), (0, 6)))})
    few = replace(few, names=few.names | {16: "trachea"})
    assert encoder.update_scan(encoder.encode_scan(*chest), long, few) is None  # other cubes


@pytest.mark.parametrize(
    ("count", "span", "starts"),
    [
        (192, None, [0]),
        (150, (10, 140), [-21]),  # padded evenly, the odd voxel first
        (250, (40, 200), [29]),  # cropped evenly
        (250, (0, 180), [0]),  # moved to hold what is known
        (250, (70, 250), [58]),
        (500, (50, 250), [50, 58]),  # 200 voxels: two cubes that overlap
        (900, (0, 800), [0, 192, 384, 576, 608]),
    ],
)
def test_cubes_along_an_axis(count, span, starts):
    assert cube_starts(count, span, 192) == starts


def test_questions_and_scores(encoder, embedding):
    scores = {(s.organ, s.abnormality): s for s in score_abnormalities(embedding)}
    assert scores["heart", "cardiomegaly"].probability is not None
    assert scores["liver", "hepatomegaly"].status == "N/A: cut by field of view"
    ranking = rank_organs(embedding, "enlarged heart")
    assert ranking.organs[0].organ == "heart" and ranking.finding.abnormality == "cardiomegaly"
    assert encoder.logit_scale == pytest.approx(50)


def test_left_and_right_are_compared_once_and_a_swap_is_told(folder, small_chest, monkeypatch):
    from napari_ctvlp.encoder.published import base
    from napari_ctvlp.encoder.sides import Sides

    encoder = ColipriEncoder.from_folder(folder, device="cpu")
    encoder.size = SIZE
    monkeypatch.setattr(base, "tell_sides", lambda _: Sides(-0.2, 0, 3))
    with pytest.warns(UserWarning, match="left for right in 3 of 3"):
        encoder.encode_scan(*small_chest)
    monkeypatch.setattr(base, "tell_sides", lambda _: pytest.fail("compared twice"))
    encoder.encode_scan(*small_chest)


def test_cancel_and_wrong_units(encoder, small_chest):
    scan, masks = small_chest
    with pytest.raises(EncodingCancelled):
        encoder.encode_scan(scan, masks, cancelled=lambda: True)
    wrong = replace(scan, hu=np.maximum(scan.hu.astype(int) - 1024, -2048).astype(np.int16))
    with pytest.raises(UserError, match="applied twice"):
        encoder.encode_scan(wrong, masks)


def test_no_organ_it_knows(encoder, small_chest):
    scan, masks = small_chest
    found = encoder.encode_scan(scan, replace(masks, names={n: f"thing_{n}" for n in masks.names}, statistics={}))
    assert set(found.status) == {OrganStatus.UNKNOWN} and not found.vectors.any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("softmax_temperature"), "softmax_temperature"),
        (lambda s: s.pop("image_encoder.backbone.eva.blocks.1.gamma_2"), r"blocks\.1\.gamma_2"),
        (lambda s: s.update({"image_encoder.backbone.up_projection.x": torch.zeros(1)}), "unknown tensor"),
        (lambda s: s.update({"image_encoder.backbone.eva.norm.bias": torch.zeros(5)}), r"eva\.norm\.bias"),
        (lambda s: s.update({"image_encoder.backbone.down_projection.proj.weight": torch.zeros(72, 1, 4, 4, 4)}),
         "another model"),
    ],
)  # fmt: skip
def test_names_and_shapes_are_strict(tmp_path, change, words):
    state = colipri_state()
    change(state)
    write_state(tmp_path / "model.safetensors", state)
    write_vocabulary(tmp_path)
    with pytest.raises(UserError, match=words):
        ColipriEncoder.from_folder(tmp_path)


def test_it_is_loaded_by_the_mark_in_its_folder(folder):
    encoder = load_encoder(folder, device="cpu")
    assert encoder.size == 192 and encoder.card.name == "colipri" and encoder.card.licence == "MIT"


def test_what_it_is_fed_lies_where_it_says(encoder, small_chest):
    check_places(encoder, small_chest[0], lambda hu: hu / 1000, tolerance=0.002)
