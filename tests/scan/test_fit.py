"""Masks that cannot be those of their scan are told, and those that can be are left alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.fit import WHOLE, check_fit
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganStatistics

BOX = ((0, 1), (0, 1), (0, 1))
BODY = {  # median HU, centroid in LPS mm
    "liver": (55, (-60, 0, 100)), "spleen": (45, (90, 20, 110)),
    "kidney_left": (30, (60, 40, 50)), "kidney_right": (30, (-60, 40, 45)), "aorta": (40, (5, 30, 80)),
    "lung_lower_lobe_left": (-800, (80, 0, 200)), "lung_lower_lobe_right": (-800, (-80, 0, 200)),
    "vertebrae_L3": (180, (0, 60, 20)), "hip_left": (190, (80, 30, -100)), "hip_right": (190, (-80, 30, -100)),
    "femur_left": (250, (90, 20, -200)), "femur_right": (250, (-90, 20, -200)),
    "iliopsoas_left": (50, (50, 40, -50)), "iliopsoas_right": (50, (-50, 40, -50)),
    "urinary_bladder": (5, (0, 0, -130)),
}  # fmt: skip


def body(**changed) -> dict[str, OrganStatistics]:
    """Organs as in a body; ``changed`` gives other median HU, or None to leave an organ out."""
    found = {}
    for n, (organ, (hu, place)) in enumerate(BODY.items(), 1):
        hu = changed.get(organ, hu)
        if hu is not None:
            made = OrganStatistics(organ, n, 5000, 100.0, hu, 20.0, BOX, place, (0, 0, 0), False, median_hu=hu)
            found[organ] = made
    return found


@pytest.mark.parametrize(
    "disease",
    [
        {},
        {"liver": -25},  # severe steatosis
        {"kidney_left": 5, "kidney_right": 8},  # polycystic
        {"lung_lower_lobe_left": 25},  # consolidated
        {"iliopsoas_left": -50, "iliopsoas_right": -45},  # wasted
        {"vertebrae_L3": 70, "hip_left": 60, "hip_right": 65, "iliopsoas_left": 20, "iliopsoas_right": 20},  # porotic
        {"liver": 130, "spleen": 180, "kidney_left": 220, "kidney_right": 230, "aorta": 400},  # arterial
        {"lung_lower_lobe_left": None, "lung_lower_lobe_right": None, "hip_left": None},
    ],
)
def test_bodies_of_all_kinds_fit(disease):
    fit = check_fit(body(**disease))
    assert not fit.amiss and not fit.whole and fit.sentence == "" and fit.against("liver") == ""


@pytest.mark.parametrize(
    ("changed", "organ", "words"),
    [
        ({"liver": -100}, "liver", "liver of -100 HU"),
        ({"spleen": 300}, "spleen", "spleen of 300 HU"),
        ({"aorta": -90}, "aorta", "aorta of -90 HU"),
        ({"urinary_bladder": 0, "hip_left": -800}, "hip_left", "left hip bone of -800 HU"),
        ({"lung_lower_lobe_left": 40, "lung_lower_lobe_right": 30}, "lung_lower_lobe_left", "lungs of 30 HU"),
        (
            {o: 45 for o in BODY if o.startswith(("hip", "femur", "vert"))},
            "femur_left",
            "bones of 45 HU",
        ),
    ],
)
def test_hu_that_an_organ_never_has(changed, organ, words):
    fit = check_fit(body(**changed))
    assert words in fit.amiss[organ] and words in fit.against(organ) and not fit.whole
    assert fit.sentence.startswith("The masks do not seem to fit the scan: ")
    assert fit.against("kidney_left") == ""  # one thing amiss takes no other organ's answer away
    assert not check_fit(body(**changed), by_hu=False).amiss


def test_a_mixture_of_organs_is_no_liver():
    organs = body()
    organs["liver"] = dataclasses.replace(organs["liver"], sd_hu=250.0)
    assert list(check_fit(organs).amiss) == ["liver"]


def test_mirrored_masks_are_told_and_situs_inversus_is_allowed_for():
    def turned(organs):
        return {o: dataclasses.replace(s, centroid=(-s.centroid[0], *s.centroid[1:])) for o, s in organs.items()}

    fit = check_fit(turned(body()), by_hu=False)
    assert {"liver", "spleen", "kidney_left", "kidney_right", "hip_left", "femur_right"} <= fit.amiss.keys()
    assert "mirrored" in fit.sentence and "situs inversus" in fit.sentence
    inverted = body()
    inverted |= {o: s for o, s in turned(body()).items() if o in ("liver", "spleen")}
    assert check_fit(inverted).amiss.keys() == {"liver", "spleen"}


def test_upside_down():
    organs = {o: dataclasses.replace(s, centroid=(*s.centroid[:2], -s.centroid[2])) for o, s in body().items()}
    fit = check_fit(organs)
    assert fit.whole and fit.amiss["liver"] == "the liver lies below the urinary bladder"


def test_much_amiss_speaks_against_every_organ():
    fit = check_fit(body(liver=-100, spleen=300, aorta=-90))
    assert len(fit.amiss) == WHOLE and fit.whole
    assert fit.against("kidney_left").startswith("the masks do not seem to fit the scan (liver of -100 HU; ")


def test_few_voxels_and_names_of_others_tell_nothing():
    small = {o: dataclasses.replace(s, voxels=20) for o, s in body(liver=-900).items()}
    assert not check_fit(small).amiss
    assert not check_fit({"tumour": dataclasses.replace(body()["liver"], organ="tumour", median_hu=-900)}).amiss


# -- real scans


@pytest.mark.parametrize(
    ("scan", "masks"),
    [
        ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v2_multilabel.nii.gz"),
        ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v1_fast_multilabel.nii.gz"),
        ("ct/ts_abdomen_top30/ct.nii.gz", "ct/ts_abdomen_top30/seg_v2_multilabel.nii.gz"),
        ("dicom/ts_upper_abdomen_j2k", "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz"),
    ],
)
def test_real_masks_fit(shared_data, scan, masks):
    opened = read_scan(shared_data / scan)
    found = read_masks(shared_data / masks, opened)
    assert not check_fit(found.statistics).amiss
    assert not any(s.cut_by_masks for s in found.statistics.values())


def test_masks_of_another_part_turned_or_shifted_ones_do_not(shared_data):
    opened = read_scan(shared_data / "ct/ts_abdomen/ct.nii.gz")
    other = read_masks(shared_data / "ct/ts_abdomen_top30/seg_v2_multilabel.nii.gz", opened)
    assert check_fit(other.statistics).whole
    own = read_masks(shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz", opened)
    turned = {
        "mirrored": own.labels[:, :, ::-1],
        "front to back": own.labels[:, ::-1],
        "15 mm down": np.roll(own.labels, 5, 0),
        "30 mm left": np.roll(own.labels, 10, 2),
    }
    for what, labels in turned.items():
        fit = check_fit(organ_statistics(opened, np.ascontiguousarray(labels), own.names))
        assert fit.whole and fit.against("spleen"), what
