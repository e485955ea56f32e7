"""Joins the list of organs with what it acts on: looks, place, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_ctvlp._qt.undo_controls import undo_choice, undo_sorting, undo_text
from napari_ctvlp.exports import STATISTICS, Results, write

if TYPE_CHECKING:
    from qtpy.QtGui import QColor

    from napari_ctvlp._qt.navigator import Navigator
    from napari_ctvlp._qt.organ_looks import OrganLooks
    from napari_ctvlp._qt.organ_panel import OrganPanel
    from napari_ctvlp._qt.ranking_view import RankingView
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.types import OrganMasks
    from napari_ctvlp.session import Session


class OrganList:
    """Keeps list, ranking, cursor and canvas at one organ, and changes the organs' looks with a way back.

    Parameters
    ----------
    panel, ranking, looks, session, navigator, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        panel: OrganPanel,
        ranking: RankingView,
        looks: OrganLooks,
        session: Session,
        navigator: Navigator,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._panel = panel
        self._ranking = ranking
        self._looks = looks
        self._session = session
        self._undo = undo
        self._drag = 0
        undo_text(panel.filter, undo, "filter of organs")
        self._group = undo_choice(panel.group, undo, "group of organs")
        undo_sorting(panel.table, undo, "order of organs")
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(looks.changed, panel.refresh_looks)
        wiring.connect(navigator.organ_reached, self._on_organ_reached)
        panel.organ_chosen.connect(navigator.choose)
        panel.visible_requested.connect(self._on_visible)
        panel.solo_requested.connect(self._on_solo)
        panel.all_requested.connect(self._on_all)
        panel.colour_requested.connect(self._on_colour)
        panel.opacity_requested.connect(self._on_opacity)
        panel.opacity.sliderPressed.connect(self._on_slider_pressed)
        panel.export_requested.connect(self._on_export)

    def _on_masks_changed(self, masks: OrganMasks | None) -> None:
        self._panel.set_masks(masks)
        self._group.sync()

    def _on_organ_reached(self, organ: str) -> None:
        self._panel.select(organ)
        self._ranking.select(organ)

    def _on_visible(self, labels: tuple[int, ...], visible: bool) -> None:
        what = "showing organs" if visible else "hiding organs"
        self._change(what, lambda: self._looks.set_visible(labels, visible))

    def _on_solo(self, labels: tuple[int, ...]) -> None:
        self._change("solo" if labels else "end of solo", lambda: self._looks.set_solo(labels))

    def _on_all(self) -> None:
        self._change("showing all organs", self._looks.show_all)

    def _on_colour(self, labels: tuple[int, ...], colour: QColor) -> None:
        rgb = (colour.redF(), colour.greenF(), colour.blueF())
        self._change("colour", lambda: self._looks.set_colour(labels, rgb))

    def _on_slider_pressed(self) -> None:
        self._drag += 1

    def _on_opacity(self, labels: tuple[int, ...], opacity: float) -> None:
        self._change("opacity", lambda: self._looks.set_opacity(labels, opacity), f"opacity {self._drag} {labels}")

    def _change(self, what: str, change: Callable[[], None], series: str = "") -> None:
        before = self._looks.state
        change()
        if self._looks.state != before:
            self._undo.push(what, lambda: self._looks.restore(before), series=series)

    def _on_export(self) -> None:
        dialog = QFileDialog(self._panel, "Statistics of the organs", "organs.csv", "CSV (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._write_statistics)
        dialog.open()

    def _write_statistics(self, path: str) -> None:
        results = Results.of(self._session)
        write(self._session, lambda: STATISTICS(Path(path), results))
