"""Pages printed into PDF files by Qt's text documents, which know a plain kind of HTML."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QMarginsF, QSizeF
from qtpy.QtGui import QGuiApplication, QPageLayout, QPageSize, QPdfWriter, QTextDocument

from napari_ctvlp.ask.report import report_html
from napari_ctvlp.ask.report_layout import PaperLayout
from napari_ctvlp.atomic import build_file

if TYPE_CHECKING:
    from typing import Any

    from napari_ctvlp.scan.types import OrganMasks, Scan

MARGIN_MM = 15.0
REPORT_MARGIN_MM = 10.0


def write_pdf(path: str | Path, html: str, title: str, margin_mm: float = MARGIN_MM) -> Path:
    """Print HTML on A4 into a PDF file, which is complete or not there; in any thread.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() != ".pdf":
        path = path.with_name(path.name + ".pdf")
    # fonts need an application, which a command without a window has not: one that draws nowhere, for as long as this
    application = QGuiApplication.instance() or QGuiApplication(["napari-ctvlp", "-platform", "offscreen"])

    timers = QEventLoop()  # never runs: documents start timers, which a thread of Python has no keeper of

    def build(temporary: Path) -> None:
        writer = QPdfWriter(str(temporary))
        writer.setPageLayout(
            QPageLayout(
                QPageSize(QPageSize.PageSizeId.A4),
                QPageLayout.Orientation.Portrait,
                QMarginsF(margin_mm, margin_mm, margin_mm, margin_mm),
                QPageLayout.Unit.Millimeter,
            )
        )
        writer.setTitle(title)
        document = QTextDocument()
        document.setDocumentMargin(0)
        document.setHtml(html)
        # without a page of its own Qt adds 2 cm to every margin
        document.documentLayout().setPaintDevice(writer)
        document.setPageSize(QSizeF(writer.width(), writer.height()))
        # PyQt6 calls it print, PySide6 print_
        (getattr(document, "print", None) or getattr(document, "print_"))(writer)  # noqa: B009

    build_file(path, build)
    del timers, application
    return path


def write_report_pdf(path: str | Path, scan: Scan, masks: OrganMasks, answers: dict[str, Any]) -> Path:
    """Print the report; arguments and errors as in `napari_ctvlp.ask.report.write_report`."""
    html = report_html(scan, masks, answers, PaperLayout())
    return write_pdf(path, html, f"{scan.name}: CT query", REPORT_MARGIN_MM)
