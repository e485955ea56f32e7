"""Reports printed as PDF: one page that says what the page for browsers says, with or without a screen."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from qtpy.QtCore import qInstallMessageHandler

from napari_ctvlp._qt.pdf import write_pdf, write_report_pdf
from napari_ctvlp.cli import main
from napari_ctvlp.errors import UserError
from tests.ask.test_report import answers_of, slab
from tests.scan.makers import body, write_scan, write_series

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
    told = ("Nothing in this scan matches", "not for diagnosis", "Audit of the scan", "What made this")
    for words in (*questions, *told):
        assert words in text


def test_a_flat_scan_is_one_page_with_its_words_in_lines(phantom, tmp_path):
    questions = ("left kidney", "right kidney", "liver", "spleen")
    scan, masks = slab(phantom, 0, 12, 24)
    flat = dataclasses.replace(scan, spacing=(0.5, 6.0, 6.0))  # 6 x 360 x 480 mm
    (text,) = pages_of(write_report_pdf(tmp_path / "report", flat, masks, answers_of(flat, masks, questions)))
    lines = [line.strip() for line in text.splitlines()]
    for words in questions:
        assert words in lines  # no narrow column that breaks them


def test_qt_has_nothing_to_say_of_a_page_that_a_thread_prints(tmp_path):
    said = []
    before = qInstallMessageHandler(lambda kind, where, text: said.append(text))
    try:
        html = "<p>words</p>" * 400
        thread = threading.Thread(target=write_pdf, args=(tmp_path / "long.pdf", html, "long"))
        thread.start()
        thread.join()
    finally:
        qInstallMessageHandler(before)
    assert len(pages_of(tmp_path / "long.pdf")) > 1 and not said


def decoded(path):
    """A PDF file with all of its compressed streams read."""
    raw = path.read_bytes()
    streams = re.findall(rb"<<[^<>]*?/FlateDecode[^<>]*?>>\s*stream\r?\n(.*?)endstream", raw, re.DOTALL)
    assert streams
    return b"\n".join([raw, *(zlib.decompressobj().decompress(stream) for stream in streams)])


def test_nothing_in_a_pdf_of_dicom_tells_the_patient(tmp_path):
    """Neither what a reader shows, nor streams and metadata in any spelling of theirs."""
    said = {"PatientName": "Mustermann^Erika", "PatientID": "PID4711", "PatientBirthDate": "19700101",
            "StudyDescription": "Knowledge of Mustermann", "InstitutionName": "Clinic4711"}  # fmt: skip
    write_series(tmp_path / "study", body(), **said)
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    given = [str(tmp_path / "study"), "--masks", str(write_scan(tmp_path / "seg.nii.gz", labels))]
    report, card = tmp_path / "report.pdf", tmp_path / "card.pdf"
    main(["report", *given, "--ask", "liver", "--pdf", str(report)])
    main(["audit", *given, "--encoder", "starter", "--pdf", str(card)])
    for path in (report, card):
        text, streams = "\n".join(pages_of(path)), decoded(path)
        assert "study" in text and b"BT" in streams  # both are read indeed
        for secret in ("Mustermann", "Erika", "PID4711", "19700101", "1970-01-01", "Clinic4711"):
            spellings = (secret.encode(), secret.encode("utf-16-be"), secret.encode("utf-16-le"))
            for one in (*spellings, *(s.hex().encode() for s in spellings)):
                assert one.lower() not in streams.lower()
            assert secret not in text


def test_no_screen_is_needed(tmp_path):
    code = "import sys; from napari_ctvlp._qt.pdf import write_pdf; write_pdf(sys.argv[1], '<p>liver</p>', 'x')"
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.pdf")], env=bare, check=True)
    assert pages_of(tmp_path / "a.pdf")[0].strip() == "liver"


def test_a_place_that_cannot_be_written_to_is_said(tmp_path):
    with pytest.raises(UserError, match=r"^a\.pdf cannot be written"):
        write_pdf(tmp_path / "no" / "a.pdf", "x", "x")
