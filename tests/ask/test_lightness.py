"""The words and the questions load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["anatomy", "anatomy.query", "ask"])
def test_import_is_light(room):
    code = (
        f"import sys, napari_ctvlp.{room}; "
        "print([m for m in ('torch', 'transformers', 'napari', 'qtpy', 'nibabel', 'pydicom') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
