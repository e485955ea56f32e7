"""The dock's widgets in their places; knows no viewer and no session."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QFrame, QLabel, QSplitter, QTabWidget, QVBoxLayout, QWidget

from napari_ctvlp._qt.answer_label import AnswerLabel
from napari_ctvlp._qt.ask_bar import AskBar
from napari_ctvlp._qt.encoder_picker import EncoderPicker
from napari_ctvlp._qt.findings_panel import FindingsPanel
from napari_ctvlp._qt.map_legend import MapLegend
from napari_ctvlp._qt.organ_looks import OrganLooks
from napari_ctvlp._qt.organ_panel import OrganPanel
from napari_ctvlp._qt.overlay import ACCENT
from napari_ctvlp._qt.progress_row import ProgressRow
from napari_ctvlp._qt.query_line import QueryLine
from napari_ctvlp._qt.ranking_view import RankingView
from napari_ctvlp._qt.scan_panel import ScanPanel
from napari_ctvlp._qt.scan_tools import ScanTools
from napari_ctvlp._qt.series_chooser import SeriesChooser
from napari_ctvlp._qt.view_bar import ViewBar
from napari_ctvlp._qt.wrapped_label import WrappedLabel

WIDTH = 380
CHARACTERS = 46


class Dock(QWidget):
    """Ask, findings and organs, and scan, one above the other."""

    def __init__(self, display_name: Callable[[str], str], looks: OrganLooks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        accent = QColor.fromRgbF(*ACCENT)
        self.query = QueryLine()
        self.answer = AnswerLabel()
        self.ranking = RankingView(display_name, accent)
        self.use_names = QCheckBox("organ names count as evidence")
        self.use_names.setToolTip("Off: rank by what the encoder sees alone")
        self.use_names.setChecked(True)
        self.more = AskBar()
        self.findings = FindingsPanel(display_name)
        self.organs = OrganPanel(display_name, looks)
        self.tables = QTabWidget()
        self.tables.setDocumentMode(True)
        self.tables.addTab(self.findings, "Findings")
        self.tables.addTab(self.organs, "Organs")
        self.series = SeriesChooser()
        self.scan = ScanPanel()
        self.tools = ScanTools()
        self.progress = ProgressRow()
        self.encoder = EncoderPicker()
        self.view = ViewBar()
        self.legend = MapLegend()
        self.legend.hide()
        self.position = WrappedLabel()
        self.position.setAccessibleName("Under the cursor")
        self.notice = QLabel("research use, not for diagnosis")
        self.notice.setEnabled(False)

        ask = _column(_heading("Ask"), self.query, self.answer, self.legend, self.ranking, self.use_names, self.more)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(ask)
        splitter.addWidget(self.tables)
        splitter.setChildrenCollapsible(False)
        for view in (self.ranking, self.findings.table, self.organs.table):
            view.setMinimumHeight(3 * view.fontMetrics().height() + 30)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(5)
        layout.addWidget(splitter, 1)
        for widget in (
            _heading("Scan"),
            self.series,
            self.scan,
            self.tools,
            self.progress,
            self.encoder,
            _line(),
            self.view,
            self.position,
            self.notice,
        ):
            layout.addWidget(widget)
        self.setMinimumWidth(self._width() - 30)

    def sizeHint(self) -> QSize:
        """Qt: as wide as the tables need with the font in use, as high as there is room."""
        return QSize(self._width(), super().sizeHint().height())

    def _width(self) -> int:
        return max(WIDTH, self.fontMetrics().horizontalAdvance("0") * CHARACTERS)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line


def _column(*widgets: QWidget) -> QWidget:
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(5)
    for widget in widgets:
        layout.addWidget(widget)
    return column
