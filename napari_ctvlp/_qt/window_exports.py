"""What the window can write: what commands can, and what needs Qt."""

from __future__ import annotations

from pathlib import Path

from napari_ctvlp._qt.pdf import write_report_pdf
from napari_ctvlp.exports import EXPORTS, Export, Results, answers_of


def _write_report(path: Path, results: Results) -> None:
    assert results.scan is not None and results.masks is not None
    write_report_pdf(path, results.scan, results.masks, answers_of(results, earlier=False))


REPORT_PDF = Export("Report with pictures (PDF)", ".pdf", "scores", _write_report)
WINDOW_EXPORTS: tuple[Export, ...] = (EXPORTS[0], REPORT_PDF, *EXPORTS[1:])
