"""The dock's widgets in their places; knows no viewer and no session."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from napari_ctvlp._qt.answer_label import AnswerLabel
from napari_ctvlp._qt.ask_bar import AskBar
from napari_ctvlp._qt.encoder_picker import EncoderPicker
from napari_ctvlp._qt.findings_panel import FindingsPanel
from napari_ctvlp._qt.map_legend import MapLegend
from napari_ctvlp._qt.organ_looks import OrganLooks
from napari_ctvlp._qt.organ_panel import OrganPanel
from napari_ctvlp._qt.overlay import ACCENT
from napari_ctvlp._qt.pages import Pages
from napari_ctvlp._qt.progress_row import ProgressRow
from napari_ctvlp._qt.query_line import QueryLine
from napari_ctvlp._qt.ranking_view import RankingView
from napari_ctvlp._qt.scan_panel import ScanPanel
from napari_ctvlp._qt.scan_tools import ScanTools
from napari_ctvlp._qt.scrolled import scrolled
from napari_ctvlp._qt.series_chooser import SeriesChooser
from napari_ctvlp._qt.view_bar import ViewBar
from napari_ctvlp._qt.wrapped_label import WrappedLabel

WIDTH = 380
CHARACTERS = 46
SPACING = 5


class Dock(QWidget):
    """Ask, findings and organs, and scan, one above the other; below them, always in sight, the view.

    Where the window is low the upper part scrolls. What the view is changed with and what lies under the cursor do not:
    they are needed while one looks at the image.
    """

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
        self.tables = Pages()
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
        self.position = WrappedLabel(lines=2)  # long names of organs take two: nothing jumps under the moving cursor
        self.position.setAccessibleName("Under the cursor")
        self.notice = QLabel("research use, not for diagnosis")
        self.notice.setEnabled(False)

        ask = _column(
            _row(_heading("Ask"), self.progress),
            self.query,
            self.answer,
            self.legend,
            self.ranking,
            self.use_names,
            self.more,
        )
        self._splitter = splitter = QSplitter(Qt.Orientation.Vertical)
        self._lent = 0
        splitter.addWidget(ask)
        splitter.addWidget(self.tables)
        splitter.setChildrenCollapsible(False)
        for view in (self.ranking, self.findings.table, self.organs.table):
            view.setMinimumHeight(3 * view.fontMetrics().height() + 30)
        asked = _column(splitter, self.series, self.scan, self.tools, self.encoder, stretch=1)
        asked.setMinimumWidth(self._width() - 46)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(SPACING)
        layout.addWidget(scrolled(asked), 1)
        for widget in (_line(), self.view, self.position, _row(self.notice, self.encoder.badge)):
            layout.addWidget(widget)

    def to_line(self) -> None:
        """Put the cursor into the question, so that typing replaces it."""
        self.query.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.query.selectAll()

    def set_map(self, there: bool, wanted: bool, why_none: str) -> None:
        """Show whether there is a map of the answer and whether one is wanted, or why there is none."""
        self.view.set_map(there, wanted, why_none)
        self.legend.set_missing(why_none)
        self.show_legend(wanted and (there or bool(why_none)))

    def show_legend(self, shown: bool) -> None:
        """Show the legend of the map, or hide it: the tables below lend it their room, not the ranked organs."""
        if self.legend.isHidden() != shown:
            return
        ask, tables = self._splitter.sizes()
        self.legend.setVisible(shown)
        wanted = self.legend.height_at(self.ranking.width()) + SPACING if shown else -self._lent
        if ask and tables:
            self._splitter.setSizes([ask + wanted, tables - wanted])
        self._lent = self._splitter.sizes()[0] - ask if shown else 0

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


def _row(first: QWidget, rest: QWidget) -> QWidget:
    """Side by side; the second takes what room there is, or stands at the end of it."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(first)
    layout.addStretch(0)
    layout.addWidget(rest)
    return row


def _column(*widgets: QWidget, stretch: int = 0) -> QWidget:
    """One below the other; ``stretch`` is the first one's share of the room that is left."""
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING)
    for place, widget in enumerate(widgets):
        layout.addWidget(widget, 0 if place else stretch)
    return column
