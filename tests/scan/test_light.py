"""Importing the room, and reading with it, loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .makers import body, write_scan

HEAVY = ("torch", "qtpy", "PyQt6", "PySide6", "napari", "transformers", "vispy", "pandas")
LAZY = ("nibabel", "pydicom", "highdicom", "isal", "scipy")


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


@pytest.mark.parametrize("module", ["napari_ctvlp", "napari_ctvlp.scan", "napari_ctvlp.scan.layers"])
def test_import_is_light(module):
    modules = loaded(f"import {module}")
    assert "napari_ctvlp" in modules
    assert not modules & {*HEAVY, *LAZY}


def test_reading_a_nifti_needs_no_window_and_no_dicom(tmp_path):
    path = write_scan(tmp_path / "a.nii.gz", body())
    modules = loaded(f"from napari_ctvlp.scan import read_scan; read_scan({str(path)!r})")
    assert "nibabel" in modules
    assert not modules & {*HEAVY, "highdicom"}
