"""Masks of every usual form land on the grid of their scan, under the right names."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from napari_ctvlp.anatomy.schemes import SCHEMES
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import naming, read_masks, read_scan
from napari_ctvlp.scan.drawn import edited_masks, measured_on
from napari_ctvlp.scan.labels import onto_scan

from .makers import ipl_affine, stored_as, write_nifti, write_scan

V1, V2 = SCHEMES["totalsegmentator_v1"], SCHEMES["totalsegmentator_v2"]
SHAPE = (40, 24, 30)
ORGANS = {  # box and HU of some organs, patient right at low L
    "liver": (np.s_[8:14, 6:16, 4:12], 60),
    "spleen": (np.s_[8:12, 12:18, 22:26], 50),
    "kidney_right": (np.s_[16:20, 13:17, 5:9], 30),
    "kidney_left": (np.s_[16:20, 13:17, 20:24], 32),
    "aorta": (np.s_[4:34, 15:17, 15:17], 45),
    "urinary_bladder": (np.s_[34:38, 8:12, 13:17], 5),
    "lung_upper_lobe_left": (np.s_[1:4, 6:14, 18:26], -850),
    "lung_lower_lobe_left": (np.s_[4:7, 6:14, 18:26], -800),
    "lung_upper_lobe_right": (np.s_[1:4, 6:14, 4:12], -850),
    "lung_lower_lobe_right": (np.s_[4:7, 6:14, 4:12], -800),
    "vertebrae_T12": (np.s_[14:17, 18:21, 13:17], 220),
    "vertebrae_L1": (np.s_[18:21, 18:21, 13:17], 230),
    "vertebrae_L2": (np.s_[22:25, 18:21, 13:17], 240),
}


def patient(noise=5):
    """Canonical HU and labels by organ name."""
    rng = np.random.default_rng(0)
    hu = rng.normal(-60, noise, SHAPE)
    hu[:, :3] = hu[:, -2:] = -1000
    for box, value in ORGANS.values():
        hu[box] = rng.normal(value, noise, hu[box].shape)
    return np.rint(hu).astype(np.int16)


def labelled(numbers: dict[int, str], dtype="u1") -> np.ndarray:
    of = {name: label for label, name in numbers.items()}
    labels = np.zeros(SHAPE, dtype)
    for name, (box, _) in ORGANS.items():
        labels[box] = of[name]
    return labels


@pytest.fixture
def scan(tmp_path):
    return read_scan(write_scan(tmp_path / "ct.nii.gz", patient()))


def same_organs(masks) -> None:
    for label, name in masks.names.items():
        np.testing.assert_array_equal(masks.labels == label, labelled({1: name} | unnamed(name)) == 1, err_msg=name)
    assert set(masks.names.values()) == set(ORGANS) == set(masks.statistics)
    assert masks.labels.dtype == np.uint8 and masks.labels.flags.c_contiguous
    assert set(np.unique(masks.labels)) == {0, *masks.names}


def unnamed(name):
    return {100 + n: organ for n, organ in enumerate(ORGANS) if organ != name}


def refused(path, scan, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        read_masks(path, scan, **kwargs)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and not re.search(r"\.\s+[A-Z]", text)
    return text


# --------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(("numbers", "title"), [(V1, "TotalSegmentator v1"), (V2, "TotalSegmentator v2")])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_scheme_is_detected_from_the_scan(numbers, title, dtype, scan, tmp_path):
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labelled(numbers, dtype)), scan)
    same_organs(masks)
    assert masks.scheme.startswith(f"{title} (detected: ")


@pytest.mark.parametrize("numbers", [V1, V2])
@pytest.mark.parametrize(
    "keep", [("lung_upper_lobe_left", "lung_lower_lobe_right"), ("kidney_left", "aorta", "vertebrae_L1")]
)
def test_few_organs_are_enough_to_detect(numbers, keep, scan, tmp_path):
    labels = labelled(numbers)
    of = {name: label for label, name in numbers.items()}
    labels[~np.isin(labels, [of[name] for name in keep])] = 0
    assert set(read_masks(write_scan(tmp_path / "m.nii.gz", labels), scan).names.values()) == set(keep)


def test_scheme_can_be_given(scan, tmp_path):
    path = write_scan(tmp_path / "m.nii.gz", labelled(V1))
    assert read_masks(path, scan, scheme="totalsegmentator_v1").scheme == "TotalSegmentator v1 (as asked)"
    wrong = read_masks(path, scan, scheme="v2")  # the user has the last word
    assert wrong.names[7] == "pancreas"
    assert "no label scheme" in refused(path, scan, scheme="v3")


def caret(names: dict[int, str]) -> bytes:
    rows = "".join(
        f'<Label Key="{k}" Red="0" Green="0" Blue="1" Alpha="1"><![CDATA[{n}]]></Label>' for k, n in names.items()
    )
    head = '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><VolumeInformation Index="0"><LabelTable>'
    return f"{head}{rows}</LabelTable></VolumeInformation></CaretExtension>".encode()


def with_extension(path, labels, content: bytes):
    data, ras = stored_as(labels, ipl_affine(), "RAS")
    image = nib.Nifti1Image(data, ras)
    image.header.extensions.append(Nifti1Extension(0, content))
    nib.save(image, path)
    return path


def test_names_in_the_file_win(scan, tmp_path):
    names = {label: name for label, name in V1.items() if name in ORGANS}
    path = with_extension(tmp_path / "m.nii.gz", labelled(V1), caret(names))
    masks = read_masks(path, scan)
    same_organs(masks)
    assert masks.scheme == "names in the file"


def test_names_without_a_scheme_are_kept(scan, tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:14, 6:16, 4:12], labels[16:20, 13:17, 5:9], labels[0, 0, 0] = 1, 2, 9
    path = with_extension(tmp_path / "m.nii.gz", labels, caret({1: "liver lesion", 2: "Right Kidney", 3: "absent"}))
    assert dict(read_masks(path, scan).names) == {1: "liver lesion", 2: "kidney_right", 9: "label_9"}


def test_hostile_xml_is_no_name_table(scan, tmp_path):
    bomb = b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + caret({1: "&b;"})[39:]
    masks = read_masks(with_extension(tmp_path / "m.nii.gz", labelled(V2), bomb), scan)
    same_organs(masks)
    masks = read_masks(with_extension(tmp_path / "n.nii.gz", labelled(V2), b"<CaretExtension><broken"), scan)
    same_organs(masks)


def test_v1_heart_parts_keep_their_names(scan, tmp_path):
    labels = labelled(V1)
    of = {name: label for label, name in V1.items()}
    labels[6:8, 9:12, 13:16] = of["heart_atrium_left"]
    assert (
        read_masks(write_scan(tmp_path / "m.nii.gz", labels), scan).names[of["heart_atrium_left"]]
        == "heart_atrium_left"
    )


def test_unknown_labels_get_a_neutral_name(scan, tmp_path):
    labels = labelled(V2)
    labels[0, 0, :3] = 200
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labels), scan)
    assert masks.names[200] == "label_200" and masks.statistics["label_200"].voxels == 3
    assert masks.names[5] == "liver"


def test_two_labels_never_share_a_name():
    assert naming.unique_names({1: "Kidney left", 2: "kidney_left", 3: "kidney_left"}) == {
        1: "kidney_left",
        2: "kidney_left_2",
        3: "kidney_left_3",
    }


@pytest.mark.parametrize("text", ["v1", "V1", "totalsegmentator_v1", "TotalSegmentator v1"])
def test_scheme_spellings(text):
    assert naming.scheme_key(text) == "totalsegmentator_v1"


# ------------------------------------------------------------------------------------------------------------- folders


def write_folder(folder, names=ORGANS, value=1, dtype="u1"):
    folder.mkdir()
    for name in names:
        mask = np.zeros(SHAPE, dtype)
        if name in ORGANS:
            mask[ORGANS[name][0]] = value
        write_scan(folder / f"{name}.nii.gz", mask)
    (folder / "statistics.json").write_text("{}")
    return folder


@pytest.mark.parametrize(("value", "dtype"), [(1, "u1"), (255, "u1"), (1, "f4"), (7, "i2")])
def test_folder_of_one_organ_files(value, dtype, scan, tmp_path):
    names = [*ORGANS, "colon", "brain"]
    masks = read_masks(write_folder(tmp_path / "seg", names, value, dtype), scan)
    same_organs(masks)
    assert masks.names[5] == "liver" and masks.scheme == "names of the files"
    assert masks.notes == ("2 of 15 masks are empty: brain, colon",)


def test_folder_numbers_are_those_of_v2(scan, tmp_path):
    masks = read_masks(write_folder(tmp_path / "seg"), scan)
    assert all(V2[label] == name for label, name in masks.names.items())


def test_unknown_file_names_come_behind_the_numbers_of_v2(scan, tmp_path):
    folder = write_folder(tmp_path / "seg", ["liver", "spleen"])
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[30, 3:6, 3:6] = 1
    write_scan(folder / "my_lesion.nii.gz", lesion)
    masks = read_masks(folder, scan)
    assert dict(masks.names) == {1: "spleen", 5: "liver", 118: "my_lesion"}


def test_overlapping_masks_keep_the_first(scan, tmp_path):
    folder = write_folder(tmp_path / "seg", ["liver"])
    mask = np.zeros(SHAPE, np.uint8)
    mask[12:18, 6:16, 4:12] = 1  # two of its six slices are liver already
    write_scan(folder / "stomach.nii.gz", mask)
    masks = read_masks(folder, scan)
    np.testing.assert_array_equal(masks.labels == 5, labelled({5: "liver"} | unnamed("liver")) == 5)
    assert masks.statistics["stomach"].voxels == 4 * 10 * 8
    assert masks.notes == ("160 voxels belong to several masks; the first by name keeps them",)


def test_a_mask_that_vanishes_under_others_is_named(scan, tmp_path):
    folder = write_folder(tmp_path / "seg", ["liver", "colon"])
    write_scan(folder / "lung_vessels.nii.gz", _box("liver"))
    fine = _box("liver").repeat(2, 0)
    write_scan(folder / "tumour.nii.gz", fine, affine=ipl_affine((1.5, 1.5, 2.0), (-20.0, -35.0, 110.75)))
    masks = read_masks(folder, scan)
    assert set(masks.names.values()) == {"liver"}
    assert "wholly within other masks, and so left out: lung_vessels, tumour" in masks.notes
    assert "1 of 4 masks are empty: colon" in masks.notes


def _box(organ) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[ORGANS[organ][0]] = 1
    return mask


def test_data_set_folder_with_its_scan(tmp_path):
    case = tmp_path / "s0001"
    case.mkdir()
    scan = read_scan(write_scan(case / "ct.nii.gz", patient()))
    write_folder(case / "segmentations")
    same_organs(read_masks(case / "segmentations", scan))
    (case / "ct.nii.gz").rename(case / "scan.nii.gz")
    scan = read_scan(case / "scan.nii.gz")
    same_organs(read_masks(case, scan))  # the scan itself is no mask


def test_folder_in_mixed_axis_orders(scan, tmp_path):
    folder = tmp_path / "seg"
    folder.mkdir()
    for name, codes in zip(ORGANS, ["RAS", "LPS", "PSR", "IPL", "ASL"] * 3, strict=False):
        mask = np.zeros(SHAPE, np.uint8)
        mask[ORGANS[name][0]] = 1
        write_scan(folder / f"{name}.nii", mask, codes)
    masks = read_masks(folder, scan)
    same_organs(masks)
    assert not masks.notes


def test_folder_on_two_grids(scan, tmp_path):
    folder = write_folder(tmp_path / "seg", ["liver", "spleen"])
    mask = np.zeros((20, 24, 30), np.uint8)
    mask[8:10, 13:17, 20:24] = 1
    affine = ipl_affine((6.0, 1.5, 2.0), (-20.0, -35.0, 108.5))
    write_scan(folder / "kidney_left.nii.gz", mask, affine=affine)
    masks = read_masks(folder, scan)
    np.testing.assert_array_equal(masks.labels == 3, labelled({3: "kidney_left"} | unnamed("kidney_left")) == 3)
    assert masks.statistics["liver"].voxels == 6 * 10 * 8 and "another grid" in masks.notes[0]


def test_one_file_named_like_its_organ(scan, tmp_path):
    mask = np.zeros(SHAPE, np.uint8)
    mask[ORGANS["liver"][0]] = 1
    masks = read_masks(write_scan(tmp_path / "liver.nii.gz", mask), scan)
    assert dict(masks.names) == {1: "liver"} and masks.scheme == "name of the file"
    masks = read_masks(write_scan(tmp_path / "result.nii.gz", mask), scan)
    assert dict(masks.names) == {1: "label_1"}
    masks = read_masks(write_scan(tmp_path / "Liver_seg.nii.gz", 3 * mask), scan)  # 3 is the left kidney elsewhere
    assert list(masks.names.values()) == ["liver"]
    for name in (
        "spine_seg",
        "vertebrae",
        "Ribs",
        "lungs-mask",
    ):  # 3 is the left kidney, and none of these is one organ
        masks = read_masks(write_scan(tmp_path / f"{name}.nii.gz", 3 * mask), scan)
        assert list(masks.names.values()) == ["label_3"]
    folder = tmp_path / "one"
    folder.mkdir()
    write_scan(folder / "liver.nii.gz", mask)
    assert dict(read_masks(folder, scan).names) == {1: "liver"}


# ---------------------------------------------------------------------------------------------------------- other grids


def test_finer_and_coarser_grids_are_brought_onto_the_scan(scan, tmp_path):
    labels = labelled(V2)
    fine = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    fine_affine = ipl_affine((1.5, 0.75, 1.0), (-20.5, -35.375, 110.75))
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", fine, "LAS", affine=fine_affine), scan)
    np.testing.assert_array_equal(masks.labels, labels)
    assert masks.notes == ("masks lie on another grid and were brought onto the scan (nearest voxel)",)


def test_a_cropped_mask_lands_where_it_belongs(scan, tmp_path):
    labels = labelled(V2)
    affine = ipl_affine()
    affine[:3, 3] = (affine @ [5, 4, 2, 1])[:3]
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labels[5:, 4:, 2:], "PIR", affine=affine), scan)
    expected = np.zeros_like(labels)
    expected[5:, 4:, 2:] = labels[5:, 4:, 2:]
    np.testing.assert_array_equal(masks.labels, expected)


def part_of(labels, start, stop):
    """Labels of some slices, and where they lie."""
    affine = ipl_affine()
    affine[:3, 3] = (affine @ [start, 0, 0, 1])[:3]
    return labels[start:stop], affine


def test_organs_at_the_end_of_the_masks_within_the_scan_are_cut(scan, tmp_path):
    part, affine = part_of(labelled(V2), 0, 12)  # ends in the liver, the aorta, and with the last slice of the spleen
    whole = read_masks(write_scan(tmp_path / "whole.nii.gz", labelled(V2)), scan)
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", part, "LAS", affine=affine), scan)
    cut = {name for name, stat in masks.statistics.items() if stat.touches_edge}
    assert cut == {"liver", "spleen", "aorta"} and not any(s.touches_edge for s in whole.statistics.values())
    assert masks.statistics["liver"].volume_ml < 0.7 * whole.statistics["liver"].volume_ml
    assert masks.notes[-1].startswith("the masks end within the scan") and "liver" in masks.notes[-1]
    folder = tmp_path / "seg"
    folder.mkdir()
    for name in ("liver", "lung_upper_lobe_left"):
        write_scan(folder / f"{name}.nii.gz", _box(name)[:12], affine=affine)
    found = read_masks(folder, scan).statistics
    assert found["liver"].touches_edge and not found["lung_upper_lobe_left"].touches_edge


def test_formats_that_crop_to_their_labels_cut_nothing(scan):
    part, affine = part_of(labelled(V2), 0, 12)
    assert V2[5] == "liver" and 5 in onto_scan(part, affine, scan, "m", [])[1]
    assert onto_scan(part, affine, scan, "m", [], tight=True)[1] == set()


def test_masks_that_reach_beyond_the_scan_are_cut_by_the_scan_alone(tmp_path):
    small = read_scan(write_scan(tmp_path / "ct.nii.gz", patient()[:20]))
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labelled(V2)[:30]), small)
    cut = {n for n, s in masks.statistics.items() if s.touches_edge}
    assert cut == {"aorta", "kidney_left", "kidney_right", "vertebrae_L1"}
    assert not any(s.cut_by_masks for s in masks.statistics.values())


def test_what_the_masks_cut_stays_cut_after_an_edit_and_on_another_phase(scan, tmp_path):
    part, affine = part_of(labelled(V2), 0, 12)
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", part, affine=affine), scan)
    drawn = masks.labels.copy()
    drawn[9, 8, 6] = 0  # a voxel of the liver
    assert edited_masks(scan, masks, drawn).statistics["liver"].touches_edge
    assert measured_on(scan, masks).statistics["spleen"].touches_edge


def test_masks_elsewhere_are_refused_with_both_boxes(scan, tmp_path):
    affine = ipl_affine(origin=(-20.0, -35.0, 900.0))
    text = refused(write_scan(tmp_path / "m.nii.gz", labelled(V2), affine=affine), scan)
    assert "does not meet the scan" in text and "z 782..902" in text and "z -8..112" in text and "LPS mm" in text


# ----------------------------------------------------------------------------------------------------------- bad input


def test_more_than_255_labels(scan, tmp_path):
    labels = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE) % 300
    assert "300 labels" in refused(write_scan(tmp_path / "m.nii.gz", labels + 1), scan)
    many = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE)
    assert "more than the 255" in refused(write_scan(tmp_path / "m.nii.gz", many), scan)


def test_large_numbers_of_few_organs_are_renumbered(scan, tmp_path):
    labels = np.zeros(SHAPE, np.int32)
    labels[8:14, 6:16, 4:12], labels[16:20, 13:17, 5:9], labels[30:32, 5:9, 5:9] = 5, 2, 70000
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labels), scan)
    assert set(np.unique(masks.labels)) == {0, 1, 2, 3}
    assert set(masks.names.values()) == {"liver", "kidney_right", "label_70000"}
    assert masks.statistics["liver"].mean_hu == pytest.approx(60, abs=2)
    assert "renumbered" in masks.notes[0]


@pytest.mark.parametrize("number", [256, 300, -1])
def test_a_late_large_label_is_not_wrapped(number, scan, tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[8:14, 6:16, 4:12] = 5
    labels[-1, -1, -1] = number
    path = write_scan(tmp_path / "m.nii.gz", labels)
    if number < 0:
        assert "negative" in refused(path, scan)
        return
    masks = read_masks(path, scan)
    assert masks.statistics[f"label_{number}"].voxels == 1 and masks.statistics["liver"].voxels == 6 * 10 * 8


def test_values_between_labels(scan, tmp_path):
    labels = labelled(V2, "f4")
    labels[0, 0, 0] = 0.5
    assert "between whole numbers" in refused(write_scan(tmp_path / "m.nii.gz", labels), scan)
    labels[0, 0, 0] = np.nan
    labels[labels > 0] += 1e-5
    same_organs(read_masks(write_scan(tmp_path / "m.nii.gz", labels), scan))


def test_a_scan_is_no_mask(scan, tmp_path):
    assert "not a scan" in refused(tmp_path / "ct.nii.gz", scan)


def test_nothing_labelled(scan, tmp_path):
    assert "every label is 0" in refused(write_scan(tmp_path / "m.nii.gz", np.zeros(SHAPE, np.uint8)), scan)
    assert "all 2 masks" in refused(write_folder(tmp_path / "seg", ["colon", "brain"]), scan)
    (tmp_path / "none").mkdir()
    assert "no .nii or .nii.gz masks" in refused(tmp_path / "none", scan)
    assert "no such file" in refused(tmp_path / "nowhere", scan)


def test_formats_that_are_not_read(scan, tmp_path):
    for name in ("m.png", "m.txt", "m.dcm"):
        (tmp_path / name).write_bytes(b"x" * 500)
        assert "no file with organ masks" in refused(tmp_path / name, scan)


def test_several_labels_in_a_folder_of_masks(scan, tmp_path):
    folder = write_folder(tmp_path / "seg", ["liver", "spleen"])
    write_scan(folder / "all.nii.gz", labelled(V2))
    assert refused(folder, scan).startswith("all.nii.gz: holds several labels")


def test_damaged_mask_is_named(scan, tmp_path):
    folder = write_folder(tmp_path / "seg", ["liver", "spleen"])
    (folder / "spleen.nii.gz").write_bytes((folder / "spleen.nii.gz").read_bytes()[:-20])
    assert refused(folder, scan).startswith("spleen.nii.gz: ")


def test_four_dimensional_mask(scan, tmp_path):
    data, ras = stored_as(labelled(V2), ipl_affine(), "RAS")
    assert "several volumes" in refused(write_nifti(tmp_path / "m.nii.gz", np.stack([data] * 2, -1), ras), scan)
