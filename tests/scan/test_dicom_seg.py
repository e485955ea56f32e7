"""DICOM SEG: what is written is read back by highdicom at the same place; what others wrote is read."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_scan
from napari_ctvlp.scan.dicom_seg import SEG_CLASSES, dicom_class, read_seg, write_seg
from napari_ctvlp.scan.masks import OTHER_FRAME, read_masks
from napari_ctvlp.scan.seg_source import ALLOWED
from napari_ctvlp.scan.types import OrganMasks

from .makers import body, write_scan, write_series
from .test_dicom import enhanced


@pytest.fixture
def labels():
    made = np.zeros((12, 14, 16), np.uint8)
    made[1:3, 1:4, -4:-1] = 7
    made[6:9, 5:9, 4:12] = 5
    made[9, 2, 3] = 200
    return made


@pytest.fixture
def masks(labels):
    return OrganMasks(labels, {5: "liver", 7: "kidney_left", 200: "something_odd"}, "TotalSegmentator v2")


@pytest.fixture
def study(tmp_path):
    write_series(tmp_path / "study", body())
    return tmp_path / "study"


def test_highdicom_reads_back_what_was_written(study, masks, tmp_path):
    scan = read_scan(study)
    write_seg(tmp_path / "organs.dcm", scan, masks)
    seg = hd.seg.segread(tmp_path / "organs.dcm")
    told = {n: seg.get_segment_description(n) for n in seg.segment_numbers}
    assert [d.segment_label for d in told.values()] == ["liver", "kidney_left", "something_odd"]
    assert [d.segmented_property_type.meaning for d in told.values()] == ["Liver", "Kidney", "Anatomical Structure"]
    volume = seg.get_volume(combine_segments=True)
    block = np.argwhere(volume.array == 2)
    where = (volume.affine @ [*block.mean(0), 1])[:3]
    expected = (scan.affine @ [*np.argwhere(masks.labels == 7).mean(0), 1])[:3]
    np.testing.assert_allclose(where, expected, atol=1e-3)
    # every frame names the slice it was made from
    slices = {str(pydicom.dcmread(p).SOPInstanceUID) for p in study.iterdir()}
    named = {
        str(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        for frame in seg.PerFrameFunctionalGroupsSequence
    }
    assert named and named <= slices


def test_own_files_come_back_as_they_were(study, masks, tmp_path):
    scan = read_scan(study)
    write_seg(tmp_path / "organs.dcm", scan, masks)
    back = read_masks(tmp_path / "organs.dcm", scan)
    number = {name: label for label, name in back.names.items()}
    assert set(number) == set(masks.names.values())
    for label, name in masks.names.items():
        np.testing.assert_array_equal(back.labels == number[name], masks.labels == label)


@pytest.mark.parametrize("patient", ["Müller^Jürgen", "Mustermann^Erika"])
def test_letters_of_every_script_come_back(labels, tmp_path, patient):
    names = {5: "tumor_größe", 7: "селезёнка", 200: "肝臓"}
    write_series(tmp_path / "study", body(), SpecificCharacterSet="ISO_IR 100", PatientName=patient)
    scan = read_scan(tmp_path / "study")
    write_seg(tmp_path / "organs.dcm", scan, OrganMasks(labels, names, "named by you"), keep_patient=True)
    assert set(read_masks(tmp_path / "organs.dcm", scan).names.values()) == set(names.values())
    assert pydicom.dcmread(tmp_path / "organs.dcm").PatientName == patient


@pytest.mark.parametrize(("uid", "noted"), [("1.2.3.5", False), ("1.2.3.99", True)])
def test_another_frame_of_reference_is_noted(study, masks, tmp_path, uid, noted):
    scan = read_scan(study)
    write_seg(tmp_path / "organs.dcm", scan, masks)
    data = pydicom.dcmread(tmp_path / "organs.dcm")
    data.FrameOfReferenceUID = uid
    data.save_as(tmp_path / "organs.dcm")
    back = read_masks(tmp_path / "organs.dcm", scan)
    assert (OTHER_FRAME in back.notes) is noted and len(back.names) == 3


def test_the_patient_stays_out_unless_asked_for(study, masks, tmp_path):
    scan = read_scan(study)
    write_seg(tmp_path / "a.dcm", scan, masks)
    write_seg(tmp_path / "b.dcm", scan, masks, keep_patient=True)
    raw = (tmp_path / "a.dcm").read_bytes()
    for private in (b"Mustermann", b"Erika", b"PID4711", b"19700101", b"20200101"):
        assert private not in raw
    bare, whole = pydicom.dcmread(tmp_path / "a.dcm"), pydicom.dcmread(tmp_path / "b.dcm")
    assert bare.PatientIdentityRemoved == "YES" and not bare.PatientName
    assert (whole.PatientName, whole.PatientID) == ("Mustermann^Erika", "PID4711")
    assert bare.StudyInstanceUID == whole.StudyInstanceUID == "1.2.3"
    assert bare.FrameOfReferenceUID == "1.2.3.5"


SENTINELS = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"), "SECRET4711"),
    "AS": "047Y", "DA": "19510203", "DT": "19510203040506", "TM": "040506.4711", "IS": "470911", "DS": "47.0911",
    "UI": "1.2.4711.4711",
}  # fmt: skip
READ_BY = ("Modality", "ImageType", "PhotometricInterpretation", "SpecificCharacterSet", "PixelPresentation")
"""What decides whether, and how, a file is read."""


@pytest.fixture(scope="module")
def sentinels():
    """Every attribute that pydicom knows with a value to look for, in sequences and in a private block, too."""
    from pydicom.datadict import DicomDictionary

    made = pydicom.Dataset()
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if not keyword or keyword in ALLOWED or keyword in READ_BY or tag >> 16 in (0, 2, 4, 6, 0xFFFA, 0xFFFE):
            continue
        if vr in SENTINELS:
            made.add_new(tag, vr, SENTINELS[vr])
        elif vr == "SQ":
            item = pydicom.Dataset()
            item.PatientComments, item.CodeMeaning, item.PersonName = ("SECRET4711",) * 3
            made.add_new(tag, vr, [item])
    assert len(made) > 3500
    made.private_block(0x0029, "SECRET4711", create=True).add_new(1, "LO", "SECRET4711")
    return made


def fill(data, sentinels):
    """Put them into a file's data set, but where they would change how it is read."""
    for element in sentinels:
        if element.tag not in data or element.VR in ("PN", "LO", "SH", "DA", "TM", "AS"):
            data.add(element)


def assert_no_sentinel(path):
    raw = path.read_bytes()
    assert not [s for s in {*SENTINELS.values(), "Mustermann", "PID4711"} if s.encode() in raw]


def test_nothing_but_links_and_geometry_is_copied(study, masks, sentinels, tmp_path):
    """Whatever attribute holds it: those of every module that there is, and those that no module knows."""
    scan = read_scan(study)
    for path in study.iterdir():
        data = pydicom.dcmread(path)
        fill(data, sentinels)
        data.save_as(path)
    write_seg(tmp_path / "organs.dcm", scan, masks)
    assert_no_sentinel(tmp_path / "organs.dcm")
    seg = pydicom.dcmread(tmp_path / "organs.dcm")
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID) == ("1.2.3", "1.2.3.5")
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.4"
    back = read_masks(tmp_path / "organs.dcm", scan)
    assert np.count_nonzero(back.labels) == np.count_nonzero(masks.labels)


def test_nothing_else_is_copied_from_a_multi_frame_file(masks, sentinels, tmp_path):
    path = enhanced(tmp_path / "study", body())
    scan = read_scan(path)
    data = pydicom.dcmread(path)
    fill(data, sentinels)
    for frame in data.PerFrameFunctionalGroupsSequence:  # beside the place of each frame, too
        frame.FrameContentSequence = [pydicom.Dataset()]
        frame.FrameContentSequence[0].FrameComments = "SECRET4711"
        frame.PlanePositionSequence[0].PatientComments = "SECRET4711"
    data.save_as(path)
    write_seg(tmp_path / "organs.dcm", scan, masks)
    assert_no_sentinel(tmp_path / "organs.dcm")
    back = read_masks(tmp_path / "organs.dcm", scan)
    number = {name: label for label, name in back.names.items()}
    for label, name in masks.names.items():
        np.testing.assert_array_equal(back.labels == number[name], masks.labels == label)


def test_names_of_organs_in_any_script(study, masks, tmp_path):
    named = OrganMasks(masks.labels, {5: "Ürogenital größer", 7: "左腎", 200: "почка"}, "made")
    write_seg(tmp_path / "organs.dcm", read_scan(study), named)
    seg = pydicom.dcmread(tmp_path / "organs.dcm")
    assert [one.SegmentLabel for one in seg.SegmentSequence] == list(named.names.values())


def test_the_right_one_of_several_series_is_referred_to(tmp_path, masks):
    write_series(tmp_path / "study/a", body(), SeriesInstanceUID="1.2.9", SeriesNumber=1, SliceThickness=1.0)
    write_series(tmp_path / "study/b", body()[:, :-2], SeriesInstanceUID="1.2.8", SeriesNumber=2)
    scan = read_scan(tmp_path / "study", series="1")
    write_seg(tmp_path / "organs.dcm", scan, masks)
    seg = pydicom.dcmread(tmp_path / "organs.dcm")
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.9"


def test_a_scan_that_is_not_dicom_is_told(tmp_path, masks):
    scan = read_scan(write_scan(tmp_path / "ct.nii.gz", body()))
    with pytest.raises(UserError, match=r"was not read from DICOM files"):
        write_seg(tmp_path / "organs.dcm", scan, masks)


def test_files_that_are_gone_or_changed_are_told(study, masks, tmp_path):
    scan = read_scan(study)
    for path in list(study.iterdir())[:6]:
        path.unlink()
    with pytest.raises(UserError, match="have changed"):
        write_seg(tmp_path / "organs.dcm", scan, masks)
    assert not (tmp_path / "organs.dcm").exists()


def test_a_damaged_file_is_told_in_a_sentence(study, masks, tmp_path):
    write_seg(tmp_path / "organs.dcm", read_scan(study), masks)
    path = tmp_path / "organs.dcm"
    assert dicom_class(path) in SEG_CLASSES
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"^organs\.dcm: is no DICOM SEG"):
        read_seg(path)


def test_a_real_series_without_identifiers(shared_data, tmp_path):
    scan = read_scan(shared_data / "dicom/ts_upper_abdomen_j2k")
    masks = read_masks(shared_data / "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz", scan)
    write_seg(tmp_path / "organs.dcm", scan, masks)
    back = read_masks(tmp_path / "organs.dcm", scan)
    number = {name: label for label, name in back.names.items()}
    assert set(number) == set(masks.names.values()) and len(number) == 31
    for label, name in masks.names.items():
        np.testing.assert_array_equal(back.labels == number[name], masks.labels == label)


def test_segmentations_that_others_wrote(shared_data):
    scan = read_scan(shared_data / "dicom/dcmqi_ct_3slice")
    masks = read_masks(shared_data / "dicom/dcmqi_seg/liver.dcm", scan)
    assert set(masks.names.values()) == {"liver"}
    assert 20 < masks.statistics["liver"].mean_hu < 200
    several = read_masks(shared_data / "dicom/dcmqi_seg/partial_overlaps.dcm", scan)
    assert len(several.names) > 1 and any("several segments" in note for note in several.notes)
