"""The guess at the contrast phase."""

from __future__ import annotations

import pytest

from napari_ctvlp.scan.phase import guess_phase
from napari_ctvlp.scan.types import OrganStatistics


def organ(name, hu, voxels=500):
    return OrganStatistics(name, 1, voxels, 1.0, hu, 10.0, ((0, 1),) * 3, (0.0, 0.0, 0.0), (0, 0, 0), False)


@pytest.mark.parametrize(
    ("aorta", "portal", "cava", "phase"),
    [
        (42, 35, 38, "native"),
        (320, 60, 70, "arterial"),
        (220, 110, 90, "arterial"),
        (160, 165, 120, "portal venous"),
        (150, 70, 140, "portal venous"),  # a thin portal vein that the fat around it darkens
        (90, 92, 88, "delayed"),
    ],
)
def test_typical_values(aorta, portal, cava, phase):
    found = guess_phase({o.organ: o for o in (
        organ("aorta", aorta), organ("portal_vein_and_splenic_vein", portal), organ("inferior_vena_cava", cava)
    )})  # fmt: skip
    assert found.phase == phase and f"aorta {aorta} HU" in str(found)


def test_what_it_cannot_tell_it_says():
    assert guess_phase({}).phase == "unknown" and "no aorta" in guess_phase({}).reason
    assert guess_phase({"aorta": organ("aorta", 200)}).phase == "unknown"
    assert guess_phase({"aorta": organ("aorta", 40)}).phase == "native"
    assert guess_phase({"aorta": organ("aorta", 40, voxels=3)}).phase == "unknown"


def test_real_scans(shared_data):
    from napari_ctvlp.scan import read_masks, read_scan

    folder = shared_data / "ct" / "ts_abdomen"
    scan = read_scan(folder / "ct.nii.gz")
    assert guess_phase(read_masks(folder / "seg_v2_multilabel.nii.gz", scan).statistics).phase == "native"
    scan = read_scan(shared_data / "dicom" / "ts_upper_abdomen_j2k")
    masks = read_masks(shared_data / "dicom" / "ts_upper_abdomen_j2k_seg_v2.nii.gz", scan)
    assert guess_phase(masks.statistics).phase not in ("native", "unknown")
