"""What the session is busy with."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QWidget

from napari_ctvlp.work import Activity


class ProgressRow(QWidget):
    """Name of the work, how far it is, and a button to end it; keeps its place when idle so that nothing jumps.

    Signals
    -------
    cancel_requested()
        The button was pressed.
    """

    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.bar = QProgressBar()
        self.bar.setMaximum(100)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.cancel_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self.cancel)
        for child in (self.bar, self.cancel):
            policy = child.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            child.setSizePolicy(policy)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_activity(None)

    def set_activity(self, activity: Activity | None) -> None:
        """Show this work, or that there is none."""
        self.bar.setVisible(activity is not None)
        self.cancel.setVisible(activity is not None and activity.can_cancel)
        self.label.setText("" if activity is None else activity.task.value)
        if activity is None:
            return
        # Qt paints a bar with a new value at once, and with it all canvases of the window that wait to be painted
        self.bar.setUpdatesEnabled(False)
        if activity.fraction is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, 100)
            self.bar.setValue(round(100 * activity.fraction))
        self.bar.setUpdatesEnabled(True)
