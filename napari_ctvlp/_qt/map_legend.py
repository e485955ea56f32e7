"""What the colours of a map mean, how strongly it is drawn, and the way to its peaks."""

from __future__ import annotations

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from napari_ctvlp._qt.map_colours import map_colours
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.locate import SimilarityMap

PEAK_KEY = "G"


class ColourBar(QWidget):
    """The colours from low to high."""

    def __init__(self) -> None:
        super().__init__()
        self._colours = [QColor.fromRgbF(*(float(c) for c in colour[:3])) for colour in map_colours()[1:]]
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Qt: as high as a line of text."""
        return QSize(80, self.fontMetrics().height() - 2)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: draw the colours."""
        gradient = QLinearGradient(0, 0, self.width(), 0)
        for place in range(0, len(self._colours), 14):
            gradient.setColorAt(place / (len(self._colours) - 1), self._colours[place])
        gradient.setColorAt(1, self._colours[-1])
        painter = QPainter(self)
        painter.fillRect(QRectF(self.rect()), gradient)
        painter.end()


class MapLegend(QWidget):
    """Legend, opacity and peaks of the map of the present answer.

    Signals
    -------
    opacity_changed(float)
        0..1.
    peak_requested()
        The next peak is wanted.
    """

    opacity_changed = Signal(float)
    peak_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.meaning = WrappedLabel()
        self.low = QLabel()
        self.bar = ColourBar()
        self.high = QLabel()
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(70)
        self.opacity.setAccessibleName("Opacity of the map")
        self.opacity.setToolTip("Opacity of the map")
        self.peak = QPushButton()
        self.peak.setToolTip(f"Go to the next place that answers best ({PEAK_KEY})")
        colours = QHBoxLayout()
        for widget, stretch in ((self.low, 0), (self.bar, 1), (self.high, 0)):
            colours.addWidget(widget, stretch)
        controls = QHBoxLayout()
        controls.addWidget(QLabel("opacity"))
        controls.addWidget(self.opacity, 1)
        controls.addWidget(self.peak)
        self.scale = QWidget()
        inner, layout = QVBoxLayout(self.scale), QVBoxLayout(self)
        for each in (inner, layout):
            each.setContentsMargins(0, 0, 0, 0)
            each.setSpacing(3)
        inner.addLayout(colours)
        inner.addLayout(controls)
        layout.addWidget(self.meaning)
        layout.addWidget(self.scale)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.opacity.valueChanged.connect(self._on_opacity)
        self.peak.clicked.connect(self.peak_requested)
        self.set_map(None)

    def height_at(self, width: int) -> int:
        """How high it gets at a width: its lines break there, and before that it does not know."""
        self.resize(width, self.height())
        layout = self.layout()
        assert layout is not None
        layout.activate()
        return self.sizeHint().height()

    def set_map(self, located: SimilarityMap | None) -> None:
        """Explain this map."""
        if located is None:
            self.set_peak(0, 0)
            return
        self.meaning.setText(f"Map: {located.meaning}")
        self.low.setText(f"{located.low:.2f}")
        self.high.setText(f"{located.high:.2f}")
        self.set_peak(0, len(located.peaks))

    def set_missing(self, why: str) -> None:
        """Say why there can be no map, in place of its colours; "" shows those again."""
        self.scale.setVisible(not why)
        if why:
            self.meaning.setText(why)

    def set_opacity(self, opacity: float) -> None:
        """Show this opacity without telling anybody."""
        self.opacity.blockSignals(True)
        self.opacity.setValue(round(100 * opacity))
        self.opacity.blockSignals(False)

    def set_peak(self, current: int, count: int) -> None:
        """Say at which of how many peaks the view stands; 0 for none yet."""
        at = f"{current} of {count}" if current else f"{count}"
        self.peak.setText(f"Peak {at} >")
        self.peak.setEnabled(count > 0)

    def _on_opacity(self, value: int) -> None:
        self.opacity_changed.emit(value / 100)
