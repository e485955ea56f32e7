"""Tabs that are as high as the page in front needs, not as the highest of all."""

from __future__ import annotations

from qtpy.QtWidgets import QSizePolicy, QTabWidget, QWidget


class Pages(QTabWidget):
    """Qt's tabs with room for the page in front alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDocumentMode(True)
        bar = self.tabBar()
        if bar is not None:
            bar.setDrawBase(False)  # a bright line beside the tabs, which napari's style does not colour
        self.currentChanged.connect(self._fit)

    def tabInserted(self, index: int) -> None:
        """Qt: there is one page more."""
        super().tabInserted(index)
        self._fit()

    def _fit(self, _current: int = 0) -> None:
        for place in range(self.count()):
            page = self.widget(place)
            if page is None:
                continue
            policy = page.sizePolicy()
            wanted = QSizePolicy.Policy.Preferred if place == self.currentIndex() else QSizePolicy.Policy.Ignored
            policy.setVerticalPolicy(wanted)
            page.setSizePolicy(policy)
        self.updateGeometry()
