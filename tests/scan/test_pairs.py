"""Scan and masks are told apart by what they hold, in any order and under any name."""

from __future__ import annotations

import itertools
import shutil
import warnings

import numpy as np
import pytest

from napari_ctvlp.commands import paired
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.dicom_seg import write_seg
from napari_ctvlp.scan.pairs import Given, holds_volumes, kind_of, scan_in, sort_out
from napari_ctvlp.scan.types import OrganMasks

from .makers import body, write_scan, write_series


def labels(dtype=np.uint8):
    made = np.zeros((12, 14, 16), dtype)
    made[6:9, 5:9, 4:12] = 5
    return made


@pytest.mark.parametrize(
    ("scan", "masks", "dtype"),
    [
        ("ct.nii.gz", "seg.nii.gz", np.uint8),
        ("case7.nii", "case7_x.nii", np.uint8),  # names that say nothing: by values
        ("a.nii", "b.nii", np.int16),
        ("a.nii", "b.nii", np.float32),
        ("mask_study.nii", "image.nii", np.uint8),  # names that say the opposite
    ],
)
def test_two_files(tmp_path, scan, masks, dtype):
    a, b = write_scan(tmp_path / scan, body()), write_scan(tmp_path / masks, labels(dtype))
    for order in itertools.permutations((a, b)):
        assert sort_out(order) == Given(a, b)
    assert sort_out([tmp_path]) == Given(a, b)
    assert (kind_of(a), kind_of(b)) == ("scan", "masks")


def test_one_file(tmp_path):
    a, b = write_scan(tmp_path / "a.nii", body()), write_scan(tmp_path / "b.nii", labels())
    (tmp_path / "odd.bin").write_bytes(b"?" * 300)
    for scan_open in (False, True):
        assert sort_out([str(a)], scan_open=scan_open) == Given(scan=a)
        assert sort_out([b], scan_open=scan_open) == Given(masks=b)
    assert sort_out([tmp_path / "odd.bin"]) == Given(scan=tmp_path / "odd.bin")
    assert sort_out([tmp_path / "odd.bin"], scan_open=True) == Given(masks=tmp_path / "odd.bin")


def test_the_folder_that_totalsegmentator_publishes(tmp_path):
    ct = write_scan(tmp_path / "ct.nii.gz", body())
    (tmp_path / "segmentations").mkdir()
    for name in ("liver", "kidney_left"):
        write_scan(tmp_path / "segmentations" / f"{name}.nii.gz", (labels() > 0).astype(np.uint8))
    assert sort_out([tmp_path]) == Given(ct, tmp_path / "segmentations") and holds_volumes(tmp_path)
    assert sort_out([tmp_path / "segmentations"]) == Given(masks=tmp_path / "segmentations")
    assert holds_volumes(tmp_path / "segmentations")
    assert sort_out([tmp_path / "segmentations", ct]) == Given(ct, tmp_path / "segmentations")


def test_one_file_per_organ_beside_the_scan(tmp_path):
    ct = write_scan(tmp_path / "study.nii.gz", body())
    for name in ("liver", "kidney_left"):
        write_scan(tmp_path / f"{name}.nii.gz", (labels() > 0).astype(np.uint8))
    given = sort_out([tmp_path])
    assert given == Given(ct, tmp_path)
    scan = read_scan(given.scan)
    assert set(read_masks(given.masks, scan).names.values()) <= {"liver", "kidney_left"}


def test_some_masks_of_one_organ_each_beside_the_scan(tmp_path):
    ct = write_scan(tmp_path / "study.nii.gz", body())
    organs = [tmp_path / f"{name}.nii.gz" for name in ("liver", "kidney_left", "spleen")]
    for nth, path in enumerate(organs):
        one = np.zeros((12, 14, 16), np.uint8)
        one[2 * nth + 1 : 2 * nth + 3, 5:9, 4:12] = 1
        write_scan(path, one)
    given = sort_out([organs[0], ct, organs[2]])
    assert given == Given(ct, (organs[0], organs[2]))
    masks = read_masks(given.masks, read_scan(given.scan))
    assert set(masks.names.values()) == {"liver", "spleen"} and not masks.source
    assert sort_out(organs, scan_open=True) == Given(masks=tuple(organs))
    with pytest.raises(UserError, match=r"^gone\.nii: there is no such file"):
        read_masks([organs[0], tmp_path / "gone.nii"], read_scan(ct))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["nrrd", "mha", "mhd", "nhdr"])
@pytest.mark.parametrize(("dtype", "air"), [(np.uint8, -1000), (np.int16, -1000), (np.float32, -1000), (np.int16, 0)])
def test_nrrd_and_metaimage_by_what_they_hold(tmp_path, ending, packed, dtype, air):
    sitk = pytest.importorskip("SimpleITK", reason="the extra itk is not installed")
    ct, seg = tmp_path / f"xyz.{ending}", tmp_path / f"abc.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(np.maximum(body(), air)), str(ct), packed)
    sitk.WriteImage(sitk.GetImageFromArray(labels(dtype)), str(seg), packed)
    for order in itertools.permutations((ct, seg)):
        assert sort_out(order) == Given(ct, seg)
    assert sort_out([tmp_path]) == Given(ct, seg)


def test_a_series_a_folder_with_masks_in_one_of_them(tmp_path):
    write_series(tmp_path / "export/001", body())
    scan = read_scan(tmp_path / "export/001")
    (tmp_path / "export/002").mkdir()
    seg = tmp_path / "export/002/1.dcm"
    write_seg(seg, scan, OrganMasks(labels(), {5: "liver"}, "made"))
    assert sort_out([tmp_path / "export"]) == Given(tmp_path / "export/001", seg)
    assert scan_in(tmp_path / "export", seg) == tmp_path / "export"
    np.testing.assert_array_equal(read_scan(tmp_path / "export").hu, scan.hu)
    # of several series one is to be chosen, and the masks are not forgotten
    write_series(tmp_path / "export/003", body(seed=1), SeriesInstanceUID="1.2.9")
    assert sort_out([tmp_path / "export"]) == Given(tmp_path / "export", seg)
    # slices at the top, masks below
    for file in (tmp_path / "export/001").iterdir():
        shutil.move(file, tmp_path / "export")
    shutil.rmtree(tmp_path / "export/003")
    assert sort_out([tmp_path / "export"]) == Given(tmp_path / "export", seg)
    (tmp_path / "export/004").mkdir()
    shutil.copy(seg, tmp_path / "export/004/1.dcm")
    with pytest.raises(UserError, match=r"several masks are given at once \(002/1\.dcm, 004/1\.dcm\)"):
        sort_out([tmp_path / "export"])


def test_the_scan_of_a_folder_whose_masks_were_chosen(tmp_path):
    ct = write_scan(tmp_path / "case.nii.gz", body())
    for place in ("seg_a", "seg_b"):
        (tmp_path / place).mkdir()
        write_scan(tmp_path / place / "liver.nii.gz", (labels() > 0).astype(np.uint8))
    masks = write_scan(tmp_path / "more.nii.gz", labels(np.int16))
    with pytest.raises(UserError, match="several masks"):
        sort_out([tmp_path])
    assert scan_in(tmp_path) == scan_in(tmp_path, tmp_path / "seg_b") == scan_in(tmp_path, masks) == ct
    assert paired(tmp_path, tmp_path / "seg_a") == (ct, tmp_path / "seg_a")
    other = write_scan(tmp_path / "other.nii.gz", body())
    assert scan_in(tmp_path, other) == ct
    with pytest.raises(UserError, match=r"several scans are given at once \(case\.nii\.gz, other\.nii\.gz\)"):
        scan_in(tmp_path, masks)


def test_numbers_that_are_none_are_looked_at_without_a_warning(tmp_path):
    write_scan(tmp_path / "a.nii", np.full((12, 14, 16), np.nan, np.float32))
    b = write_scan(tmp_path / "b.nii", labels())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kind_of(tmp_path / "a.nii") == "scan"
        assert sort_out([tmp_path]) == Given(tmp_path / "a.nii", b)


def test_dicom_with_masks_of_every_form(tmp_path):
    write_series(tmp_path / "study", body())
    scan = read_scan(tmp_path / "study")
    assert sort_out([tmp_path / "study"]) == Given(scan=tmp_path / "study")
    slices = sorted((tmp_path / "study").iterdir())[:4]
    assert sort_out(slices) == Given(scan=slices[0])
    write_seg(tmp_path / "study/organs.dcm", scan, OrganMasks(labels(), {5: "liver"}, "made"))
    given = sort_out([tmp_path / "study"])
    assert given == Given(tmp_path / "study", tmp_path / "study/organs.dcm")
    # the SEG beside the slices is no slice of them
    np.testing.assert_array_equal(read_scan(given.scan).hu, scan.hu)
    shutil.move(tmp_path / "study/organs.dcm", tmp_path / "organs.dcm")
    assert sort_out([tmp_path / "organs.dcm", tmp_path / "study"]) == Given(tmp_path / "study", tmp_path / "organs.dcm")
    assert sort_out([tmp_path]) == Given(tmp_path / "study", tmp_path / "organs.dcm")


@pytest.mark.parametrize("names", [("ct.nii", "image.nii"), ("seg.nii", "ct.nii", "labels.nii")])
def test_a_choice_is_left_to_the_user(tmp_path, names):
    for name in names:
        write_scan(tmp_path / name, labels() if name in ("seg.nii", "labels.nii") else body())
    for given in ([tmp_path], [tmp_path / name for name in names]):
        with pytest.raises(UserError, match=r"several (scans|masks) are given at once \(.*\); choose one of them\.$"):
            sort_out(given)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"^gone\.nii: there is no such file"):
        sort_out([tmp_path / "gone.nii"])
    (tmp_path / "broken.nii.gz").write_bytes(b"\x1f\x8bnonsense")
    assert sort_out([tmp_path / "broken.nii.gz"]) == Given(scan=tmp_path / "broken.nii.gz")
    assert not holds_volumes(tmp_path / "gone") and kind_of(tmp_path / "gone.nii") == ""


def test_real_folders(shared_data):
    folder = shared_data / "ct/ts_abdomen_nrrd"
    assert sort_out([folder]) == Given(folder / "ct.nrrd", folder / "seg_v2_multilabel.nrrd")
    abdomen = shared_data / "ct/ts_abdomen"
    given = sort_out([abdomen / "seg_v1_multilabel_float64.nii.gz", abdomen / "ct.nii.gz"])
    assert given == Given(abdomen / "ct.nii.gz", abdomen / "seg_v1_multilabel_float64.nii.gz")
    three = shared_data / "dicom"
    assert sort_out([three / "dcmqi_ct_3slice", three / "dcmqi_seg/liver.dcm"]) == Given(
        three / "dcmqi_ct_3slice", three / "dcmqi_seg/liver.dcm"
    )
