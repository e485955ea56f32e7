"""Masks from layers: taken over, painted in, named."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.anatomy.schemes import SCHEMES
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.drawn import Drawing, edited_masks, masks_from_drawing, renamed, viewer_affine
from napari_ctvlp.scan.statistics import organ_statistics


def drawing(scan, labels, title="masks", names=None, affine=None):
    return Drawing(labels, viewer_affine(scan) if affine is None else affine, title, names or {})


def test_names_of_the_layer_are_organs_in_any_spelling(phantom):
    scan, masks = phantom
    given = {5: "Liver", 1: "lien", 3: "Left kidney", 2: "kidney r"}
    taken, same = masks_from_drawing(scan, drawing(scan, masks.labels.astype(np.int32), names=given))
    assert same
    assert taken.names == {5: "liver", 1: "spleen", 3: "kidney_left", 2: "kidney_right"}
    assert taken.statistics["liver"] == masks.statistics["liver"]
    assert taken.labels.dtype == np.uint8


def test_a_copy_is_taken(phantom):
    scan, masks = phantom
    taken, _ = masks_from_drawing(scan, drawing(scan, masks.labels))
    assert not np.shares_memory(taken.labels, masks.labels)


def test_few_labels_are_not_guessed_and_one_goes_by_the_title(phantom):
    scan, masks = phantom
    taken, _ = masks_from_drawing(scan, drawing(scan, masks.labels))
    assert taken.names == {1: "label_1", 2: "label_2", 3: "label_3", 5: "label_5"}
    one = (masks.labels == 5).astype(bool)
    taken, same = masks_from_drawing(scan, drawing(scan, one, "Liver"))
    assert same and taken.names == {1: "liver"}
    assert masks_from_drawing(scan, drawing(scan, one, "tumour"))[0].names == {1: "label_1"}


@pytest.mark.parametrize("scheme", ["totalsegmentator_v1", "totalsegmentator_v2"])
def test_many_labels_go_by_the_scheme_that_fits(shared_data, scheme):
    from napari_ctvlp.scan import read_masks, read_scan

    folder = shared_data / "ct" / "ts_abdomen"
    scan = read_scan(folder / "ct.nii.gz")
    masks = read_masks(folder / "seg_v2_multilabel.nii.gz", scan)
    number = {name: label for label, name in SCHEMES[scheme].items()}
    table = np.zeros(256, np.int32)
    for label, name in masks.names.items():
        table[label] = number.get(name, 0)
    taken, _ = masks_from_drawing(scan, drawing(scan, table[masks.labels]))
    assert {name for name in masks.names.values() if name in number} == set(taken.names.values())
    shuffled = np.random.default_rng(0).permutation(256).astype(np.int32)
    shuffled[np.flatnonzero(shuffled == 0)], shuffled[0] = shuffled[0], 0
    taken, _ = masks_from_drawing(scan, drawing(scan, shuffled[masks.labels]))
    assert all(name.startswith("label_") for name in taken.names.values())


def test_a_layer_without_a_place_is_taken_voxel_for_voxel_and_says_so(phantom):
    scan, masks = phantom
    taken, same = masks_from_drawing(scan, drawing(scan, masks.labels, affine=np.eye(4)))
    assert same and np.array_equal(taken.labels, masks.labels)
    assert any("voxel for voxel" in note for note in taken.notes)


def test_another_grid_is_brought_onto_the_scan(phantom):
    scan, masks = phantom
    affine = viewer_affine(scan)
    affine[:3, :3] *= 2
    affine[:3, 3] += np.asarray(scan.spacing) / 2
    coarse = masks.labels[::2, ::2, ::2]
    taken, same = masks_from_drawing(scan, drawing(scan, coarse, affine=affine))
    assert not same
    assert taken.labels.shape == scan.hu.shape
    assert (taken.labels == masks.labels).mean() > 0.99
    affine[:3, 3] += 10_000
    with pytest.raises(UserError, match="does not meet the scan"):
        masks_from_drawing(scan, drawing(scan, coarse, affine=affine))


def test_large_numbers_are_renumbered_and_keep_their_names(phantom):
    scan, masks = phantom
    taken, same = masks_from_drawing(scan, drawing(scan, masks.labels.astype(np.int64) * 100, names={500: "liver"}))
    assert not same
    assert taken.names == {1: "label_100", 2: "label_200", 3: "label_300", 4: "liver"}
    assert taken.statistics["liver"].voxels == masks.statistics["liver"].voxels


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros((2, 3, 4, 5), np.uint8), "4 axes"),
        (np.zeros((3, 4), np.uint8), "2 axes"),
        (np.full((3, 4, 5), -1), "negative"),
        (np.zeros((3, 4, 5), np.float32), "whole numbers"),
        (np.arange(60_000).reshape(30, 40, 50), "labels"),
    ],
)
def test_what_is_no_set_of_masks_is_refused_in_a_sentence(phantom, labels, said):
    with pytest.raises(UserError, match=said):
        masks_from_drawing(phantom[0], drawing(phantom[0], labels))


def test_an_empty_layer_is_masks_without_organs(phantom):
    scan, _ = phantom
    taken, same = masks_from_drawing(scan, drawing(scan, np.zeros(scan.hu.shape, np.int32)))
    assert same and not taken.names


def test_painting_changes_what_was_painted_and_nothing_else(phantom):
    scan, masks = phantom
    labels = masks.labels.copy()
    labels[8:12, 12:40, 10:35] = 2  # part of the liver becomes right kidney
    after = edited_masks(scan, masks, labels)
    assert after.names == masks.names
    assert after.statistics == organ_statistics(scan, labels, masks.names)
    for untouched in ("spleen", "kidney_left"):
        assert after.statistics[untouched] is masks.statistics[untouched]
    assert "edited by hand" in after.notes and after.source == ""
    labels[:] = 0
    assert after.labels.any(), "the masks are a copy"


def test_nothing_painted_is_the_same_masks(phantom):
    scan, masks = phantom
    assert edited_masks(scan, masks, masks.labels.astype(np.int16)) is masks


def test_organs_come_and_go_with_their_names(phantom):
    scan, masks = phantom
    labels = masks.labels.copy()
    labels[labels == 5] = 0
    labels[0:3, 0:3, 0:3] = 52  # v2: aorta, as the others go by v2
    labels[5:7, 5:7, 5:7] = 200
    labels[5:7, 8:10, 5:7] = 201
    after = edited_masks(scan, masks, labels, known={201: "tumour"})
    assert after.names == {
        1: "spleen",
        2: "kidney_right",
        3: "kidney_left",
        52: "aorta",
        200: "label_200",
        201: "tumour",
    }
    assert after.statistics["aorta"].voxels == 27
    back = edited_masks(scan, after, masks.labels.copy(), known={5: "liver"})
    assert back.names == masks.names and back.statistics == masks.statistics


def test_the_very_array_counts_as_changed_everywhere(phantom):
    scan, masks = phantom
    masks.labels[8:12, 12:40, 10:35] = 0
    after = edited_masks(scan, masks, masks.labels)
    assert after.statistics == organ_statistics(scan, masks.labels, masks.names)
    assert not np.shares_memory(after.labels, masks.labels)


def test_labels_that_do_not_fit_any_more_are_told(phantom):
    scan, masks = phantom
    with pytest.raises(UserError, match="another shape"):
        edited_masks(scan, masks, masks.labels[:-1])
    with pytest.raises(UserError, match="0 to 255"):
        edited_masks(scan, masks, masks.labels.astype(np.int32) * 100)


def test_the_user_names_organs(phantom):
    scan, masks = phantom
    drawn, _ = masks_from_drawing(scan, drawing(scan, masks.labels))
    named = renamed(drawn, {5: "Liver", 1: "my tumour", 2: "", 3: "label_3"})
    assert named.names == {1: "my_tumour", 2: "label_2", 3: "label_3", 5: "liver"}
    assert named.statistics["liver"].organ == "liver"
    assert named.labels is drawn.labels
    assert renamed(drawn, {}) is drawn
    with pytest.raises(UserError, match="both be called liver"):
        renamed(drawn, {5: "Liver", 1: "liver"})
