"""What napari learns of the plugin without loading it, and what the readers claim."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_ctvlp
from napari_ctvlp._npe2 import get_reader, sample_torso
from napari_ctvlp.scan.reader import looks_like_dicom
from napari_ctvlp.scan.types import OrganMasks, Scan

MANIFEST = Path(napari_ctvlp.__file__).with_name("napari.yaml")


def in_fresh_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def nifti(tmp_path):
    """A small CT as a NIfTI file."""
    import nibabel

    data = np.full((12, 10, 8), -1000, np.int16)
    data[3:9, 3:8, 2:6] = 40
    path = tmp_path / "ct.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 3.0, 1.0])), path)
    return path


@pytest.fixture
def dicom_file(tmp_path):
    """Bytes that start as a DICOM file does."""
    path = tmp_path / "study" / "IM0001"
    path.parent.mkdir()
    path.write_bytes(bytes(128) + b"DICM" + bytes(100))
    return path


def test_manifest_is_valid_and_everything_in_it_can_be_imported():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "napari-ctvlp"
    assert [widget.display_name for widget in manifest.contributions.widgets] == ["CT query"]
    assert manifest.contributions.readers[0].accepts_directories


def test_validate_command_is_clean():
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", str(MANIFEST)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module", ["napari_ctvlp", "napari_ctvlp._npe2", "napari_ctvlp._menus", "napari_ctvlp.scan", "napari_ctvlp.anatomy"]
)
def test_import_is_light(module):
    heavy = ("torch", "transformers", "qtpy", "napari", "PyQt6")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    assert in_fresh_python(code) == "[]"


def test_claiming_a_file_loads_nothing_heavy(nifti):
    code = (
        f"import sys; from napari_ctvlp._npe2 import get_reader; assert get_reader({str(nifti)!r}); "
        "print([m for m in ('torch', 'qtpy', 'napari', 'nibabel', 'pydicom') if m in sys.modules])"
    )
    assert in_fresh_python(code) == "[]"


@pytest.mark.parametrize("name", ["a.png", "a.nrrd", "a.dcm", "no.nii", "empty_folder", "a.nii.gz.txt"])
def test_foreign_paths_are_left_to_others(tmp_path, name):
    path = tmp_path / name
    if name == "empty_folder":
        path.mkdir()
    elif not name.startswith("no."):
        path.write_bytes(b"something else entirely" * 20)
    assert get_reader(str(path)) is None


@pytest.mark.parametrize("odd", [None, [], 7, ["a.nii", "b.nii"]])
def test_odd_arguments_are_left_to_others(odd):
    assert get_reader(odd) is None


def test_nifti_and_dicom_are_claimed(nifti, dicom_file):
    assert get_reader(str(nifti)) is not None
    assert get_reader([str(nifti)]) is not None
    assert get_reader(str(dicom_file)) is not None
    assert get_reader(str(dicom_file.parent)) is not None


def test_dicom_without_preamble_is_known(tmp_path):
    path = tmp_path / "IM1"
    path.write_bytes(b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100" + bytes(200))
    assert looks_like_dicom(path)


def test_reader_gives_a_scan_layer(nifti):
    ((data, options, kind),) = get_reader(str(nifti))(str(nifti))
    assert kind == "image"
    assert data.dtype == np.int16
    assert data.shape == (8, 10, 12)
    assert isinstance(options["metadata"]["ctvlp_scan"], Scan)


def test_a_folder_with_scan_and_masks_gives_both_layers(nifti):
    import nibabel

    labels = np.zeros((12, 10, 8), np.uint8)
    labels[3:9, 3:8, 2:6] = 5
    nibabel.save(nibabel.Nifti1Image(labels, np.diag([2.0, 2.0, 3.0, 1.0])), nifti.parent / "seg.nii.gz")
    folder = str(nifti.parent)
    scan, masks = get_reader(folder)(folder)
    assert (scan[2], masks[2]) == ("image", "labels")
    assert masks[1]["metadata"]["ctvlp_masks"].names == {5: "liver"}
    ((_, options, kind),) = get_reader(str(nifti.parent / "seg.nii.gz"))(str(nifti.parent / "seg.nii.gz"))
    assert kind == "labels" and "ctvlp_masks" not in options["metadata"], "without a scan nothing was measured"
    np.testing.assert_allclose(options["scale"], masks[1]["scale"])
    np.testing.assert_allclose(options["translate"], masks[1]["translate"])


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha"])
def test_itk_files_are_read(tmp_path, name):
    sitk = pytest.importorskip("SimpleITK", reason="the extra itk is not installed")
    image = sitk.GetImageFromArray(np.full((6, 8, 10), 30, np.int16))
    sitk.WriteImage(image, str(tmp_path / name))
    ((data, _, kind),) = get_reader(str(tmp_path / name))(str(tmp_path / name))
    assert kind == "image" and data.shape == (6, 8, 10)


def test_bad_file_gives_one_notification_and_no_layer(nifti, capsys):
    from napari.utils.notifications import notification_manager

    seen = []
    notification_manager.notification_ready.connect(seen.append)
    nifti.write_bytes(gzip.compress(b"no header"))
    try:
        assert get_reader(str(nifti))(str(nifti)) == [(None,)]
    finally:
        notification_manager.notification_ready.disconnect(seen.append)
    assert len(seen) == 1
    assert seen[0].message.startswith("ct.nii.gz")


def test_sample_is_a_scan_with_masks():
    (_, scan_options, scan_kind), (labels, masks_options, masks_kind) = sample_torso()
    assert (scan_kind, masks_kind) == ("image", "labels")
    scan, masks = scan_options["metadata"]["ctvlp_scan"], masks_options["metadata"]["ctvlp_masks"]
    assert isinstance(masks, OrganMasks)
    assert labels.shape == scan.hu.shape
    assert len(masks.names) >= 10


def test_named_masks_open_as_labels(shared_data):
    path = shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz"
    ((data, options, kind),) = get_reader(str(path))(str(path))
    assert kind == "labels"
    assert data.dtype == np.uint8
    assert "liver" in list(options["features"]["organ"]) and "ctvlp_masks" not in options["metadata"]


def test_dicom_folder_opens(shared_data):
    path = shared_data / "dicom/ts_upper_abdomen_j2k"
    ((data, _, kind),) = get_reader(str(path))(str(path))
    assert kind == "image"
    assert data.shape == (20, 512, 512)
    first = sorted(path.iterdir())[:3]
    assert get_reader([str(file) for file in first]) is not None


def test_of_several_series_the_largest_opens_and_says_so(shared_data, tmp_path):
    from napari.utils.notifications import notification_manager

    for source in ("dicom/ts_upper_abdomen_j2k", "dicom/dcmqi_ct_3slice"):
        shutil.copytree(shared_data / source, tmp_path / "study" / Path(source).name)
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    folder = str(tmp_path / "study")
    try:
        reader = get_reader(folder)
        layers = reader(folder) if reader is not None else None
    finally:
        notification_manager.notification_ready.disconnect(seen.append)
    assert layers is not None
    assert layers[0][0].shape[0] == 20
    assert "2 series" in seen[0].message


def test_a_dicom_seg_needs_its_scan_and_says_so(shared_data):
    from napari.utils.notifications import notification_manager

    path = str(shared_data / "dicom/dcmqi_seg/liver.dcm")
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    try:
        assert get_reader(path)(path) == [(None,)]
    finally:
        notification_manager.notification_ready.disconnect(seen.append)
    assert [note.message for note in seen] == ["liver.dcm: organ masks need a scan; open the scan first."]
