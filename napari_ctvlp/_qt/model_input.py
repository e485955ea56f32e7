"""What the encoder saw, on the canvas: its resampled, windowed input in the place of the scan, one window at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_ctvlp._qt.layer_lookup import OWN_KEY
from napari_ctvlp._qt.placing import add_quietly, show_elsewhere
from napari_ctvlp._qt.removing import remove_layer, remove_with_scan
from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.encoder.contract import ModelInput
    from napari_ctvlp.session import Session

NAME = "input"


class InputLayer:
    """One layer over the scan and under the organs; each step shows the next window, after the last one none.

    Parameters
    ----------
    viewer, session, layers, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections, and takes the layer away.

    Notes
    -----
    ``changed`` (psygnal) carries which window is shown ("1/3"), empty for none.
    """

    changed = Signal(str)

    def __init__(
        self, viewer: napari.viewer.Viewer, session: Session, layers: OpenLayers, undo: Undo, wiring: Wiring
    ) -> None:
        self._viewer, self._session, self._open, self._undo = viewer, session, layers, undo
        self._input: ModelInput | None = None
        self._layer: Image | None = None
        self._shown = -1
        wiring.connect(session.scan_changed, self._on_scan)
        wiring.connect(session.encoder_changed, self._on_other)
        wiring.connect(viewer.layers.events.removed, self._on_layer_removed)
        wiring.callback(self._remove)

    @property
    def layers(self) -> list[Image]:
        """The layer, where there is one."""
        return [] if self._layer is None else [self._layer]

    def next(self) -> None:
        """Show the first window, the next one, or the scan again after the last."""
        self._wish(self._shown + 1)

    def _wish(self, place: int) -> None:
        """Show a window of the input, -1 for none; it is prepared when first wished for."""
        session = self._session
        scan, encoder, rooms = session.scan, session.encoder, session.rooms
        if self._input is not None or place < 0:
            self._show(place)
        elif scan is not None and encoder is not None:

            def done(given: ModelInput | None) -> None:
                if given is None:
                    session.failed.emit(UserError(f"{encoder.card.name}: does not show what it is fed."))
                    self.changed.emit("")
                elif session.scan is scan and session.encoder is encoder:
                    self._input = given
                    self._show(place)

            session.run(Task.INPUT, lambda report, cancelled: rooms.model_input(encoder, scan, report, cancelled), done)
            self.changed.emit(self._text)  # a button that was clicked looks pressed before there is anything to see
        else:
            self.changed.emit("")

    def _show(self, place: int) -> None:
        before, given = self._shown, self._input
        if given is None or place >= len(given.channels):
            place = -1
        self._shown = place
        if place < 0:
            self._hide()
        elif given is not None:
            self._put(given, place)
        if place != before:
            self._undo.push("showing the encoder's input" if place >= 0 else "hiding it", lambda: self._wish(before))
        self.changed.emit(self._text)

    @property
    def title(self) -> str:
        """What is shown, in words; empty for nothing."""
        given = self._input
        return "" if self._shown < 0 or given is None else f"input: {given.channels[self._shown]}"

    @property
    def _text(self) -> str:
        return "" if self._shown < 0 or self._input is None else f"{self._shown + 1}/{len(self._input.channels)}"

    def _put(self, given: ModelInput, place: int) -> None:
        scan, values = self._session.scan, given.values[place]
        assert scan is not None
        spacing = np.asarray(scan.spacing)
        name, scale = f"{NAME}: {given.channels[place]}", spacing * given.step
        translate = np.asarray(scan.napari_translate) + np.asarray(given.start) * spacing
        if (known := self._layer) is not None:
            if known.data is not values:
                known.opacity = 0.0  # nothing is sliced in other views between the steps
                known.name, known.contrast_limits = name, given.limits
                show_elsewhere(known, values, scale, translate)
            known.visible = True
            known.opacity = 1.0
            return
        self._layer = layer = Image(
            values,
            name=name,
            colormap="gray",
            blending="translucent_no_depth",
            contrast_limits=given.limits,
            scale=scale,
            translate=translate,
            axis_labels=("I", "P", "L"),
            units=("mm",) * 3,
            metadata={OWN_KEY: True},
        )
        add_quietly(self._viewer, layer, self._open.scan_layer)

    def _on_scan(self, scan: object) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            remove_with_scan(self._viewer.layers, layer)
        self._on_other(scan)

    def _on_other(self, _scan_or_encoder: object) -> None:
        self._input, self._shown = None, -1
        self._session.stop(Task.INPUT)
        self._hide()
        self.changed.emit("")

    def _on_layer_removed(self, event: object) -> None:
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer, self._shown = None, -1
            self.changed.emit("")

    def _hide(self) -> None:
        """Taking the layer away takes a second (measured, napari 0.9.2 with three views)."""
        if self._layer is not None:
            self._layer.visible = False

    def _remove(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            remove_layer(self._viewer.layers, layer)
