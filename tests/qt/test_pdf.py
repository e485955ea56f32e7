"""Reports printed as PDF: one page that says what the page for browsers says, with or without a screen."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from napari_ctvlp._qt.pdf import write_pdf, write_report_pdf
from napari_ctvlp.errors import UserError
from tests.ask.test_report import answers_of, slab

pytestmark = pytest.mark.usefixtures("qapp")


def pages_of(path):
    """Text of each page, as a reader of the file finds it."""
    pdf = pytest.importorskip("qtpy.QtPdf", reason="this Qt comes without its reader of PDF")
    document = pdf.QPdfDocument(None)
    document.load(str(path))
    return [document.getAllText(page).text() for page in range(document.pageCount())]


def test_a_report_with_all_its_pictures_is_one_page(phantom, tmp_path):
    questions = ("renal stone on the left", "liver", "spleen", "right kidney", "banana")
    written = write_report_pdf(tmp_path / "report", *phantom, answers_of(*phantom, questions))
    assert written == tmp_path / "report.pdf" and written.stat().st_size > 20_000  # pictures are in it
    (text,) = pages_of(written)
    for words in (*questions, "Nothing here matches", "not for diagnosis", "Audit of the scan", "What made this"):
        assert words in text


def test_a_flat_scan_is_one_page_with_its_words_in_lines(phantom, tmp_path):
    questions = ("left kidney", "right kidney", "liver", "spleen")
    scan, masks = slab(phantom, 0, 12, 24)
    flat = dataclasses.replace(scan, spacing=(0.5, 6.0, 6.0))  # 6 x 360 x 480 mm
    (text,) = pages_of(write_report_pdf(tmp_path / "report", flat, masks, answers_of(flat, masks, questions)))
    lines = [line.strip() for line in text.splitlines()]
    for words in questions:
        assert words in lines  # no narrow column that breaks them


def test_no_screen_is_needed(tmp_path):
    code = "import sys; from napari_ctvlp._qt.pdf import write_pdf; write_pdf(sys.argv[1], '<p>liver</p>', 'x')"
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.pdf")], env=bare, check=True)
    assert pages_of(tmp_path / "a.pdf")[0].strip() == "liver"


def test_a_place_that_cannot_be_written_to_is_said(tmp_path):
    with pytest.raises(UserError, match=r"^a\.pdf cannot be written"):
        write_pdf(tmp_path / "no" / "a.pdf", "x", "x")
