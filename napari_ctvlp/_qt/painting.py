"""Painting into the organ masks: noticed, measured when it pauses, answered anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from qtpy.QtCore import QTimer

from napari_ctvlp._qt.layer_lookup import MASKS_KEY, NAMES_KEY, masks_of
from napari_ctvlp._qt.strokes import Strokes, before_stroke, has_strokes, no_more_before_stroke, tell_of_undo
from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.types import OrganMasks
    from napari_ctvlp.session import Session

SETTLE_MS = 500
"""Pause after which what was painted is measured: a stroke seldom comes alone."""
EDITING_MODES = ("paint", "erase", "fill", "polygon")


class Painting:
    """Lets masks and answers follow what is painted into the layer of the masks.

    Masks never change under the work that reads them: a layer gets an array of its own before the first stroke, and
    what was painted becomes new masks. That holds for strokes while no dock is open, too: the next one measures them,
    also those of before there was any, which have changed the masks themselves.

    Parameters
    ----------
    session, layers
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, session: Session, layers: OpenLayers, wiring: Wiring) -> None:
        self._session = session
        self._layers = layers
        self._layer: Labels | None = None
        self._strokes: Strokes | None = None
        self._leave_undo: Callable[[], None] = lambda: None
        self._unread: WeakSet[Labels] = WeakSet()
        self._changed: WeakSet[OrganMasks] = WeakSet()  # what was measured of them does not hold for any organ
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self.read)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(layers.taken, self.read)
        wiring.callback(self._watch, None)

    def read(self) -> None:
        """Measure now what was painted."""
        self._timer.stop()
        layer, scan, masks, rooms = self._layer, self._session.scan, self._session.masks, self._session.rooms
        if layer is None or scan is None or masks is None:
            return
        known = dict(layer.metadata.get(NAMES_KEY, {}))
        labels = np.asarray(layer.data)
        before = replace(masks, labels=labels) if masks in self._changed else masks

        def done(edited: OrganMasks | UserError) -> None:
            self._unread.discard(layer)
            if isinstance(edited, UserError):
                layer.metadata.pop(MASKS_KEY, None)
                self._layers.sync()
                self._session.failed.emit(edited)
            elif edited is masks:
                self._session.end_edit()
            else:
                self._layers.take(layer, edited)
                self._session.set_masks(edited)

        def work(_report: object, _cancelled: object) -> OrganMasks | UserError:
            try:
                return rooms.edited_masks(scan, before, labels, known)
            except UserError as error:
                return error

        self._session.run(Task.EDITING, work, done)

    def _on_masks_changed(self, masks: object) -> None:
        self._watch(self._layers.masks_layer)

    def _watch(self, layer: Labels | None) -> None:
        if layer is self._layer:
            if layer in self._unread:  # other masks of it came meanwhile, as measured on another phase
                self._on_touched()
            return
        self._timer.stop()
        if self._strokes is not None and self._layer is not None:
            self._strokes.release()
            self._leave_undo()
            self._layer.events.mode.disconnect(self._on_mode)
            self._layer.events.mode.connect(_on_mode_unwatched)
        self._layer, self._strokes = layer, None
        if layer is None:
            return
        self._strokes = Strokes(layer)
        self._strokes.touched.connect(self._on_touched)
        self._leave_undo = tell_of_undo(layer, self._strokes.look_for_undo)
        layer.events.mode.disconnect(_on_mode_unwatched)
        layer.events.mode.connect(self._on_mode)
        # painted before other masks took its place, or while nobody looked
        masks = self._session.masks
        if masks is not None and layer.data is masks.labels:
            before_stroke(layer, _give_own_array)
            if has_strokes(layer):
                self._changed.add(masks)  # before there was a dock, and the masks with the layer
                self._unread.add(layer)
        painted = layer in self._unread or not _shows(layer, masks)
        self._on_mode()
        if painted:
            self._on_touched()

    def _on_mode(self, event: object = None) -> None:
        """Give the layer an array of its own before anything is painted: the first stroke shall not wait for it."""
        if self._layer is not None and self._layer.mode in EDITING_MODES:
            assert self._strokes is not None
            with self._strokes.touched.blocked():
                _give_own_array(self._layer)

    def _on_touched(self) -> None:
        if self._layer is not None:
            self._unread.add(self._layer)
            self._session.begin_edit()
            self._timer.start()


def _shows(layer: Labels, masks: OrganMasks | None) -> bool:
    """Whether a layer still shows masks as they were measured; strokes into a layer that is not in use tell nobody."""
    if masks is None or layer.data is masks.labels:
        return True
    if np.shape(layer.data) != masks.labels.shape:
        return False
    pairs = zip(layer.data, masks.labels, strict=True)  # slice by slice: no second volume in memory
    return all(np.array_equal(now, measured) for now, measured in pairs)


def _give_own_array(layer: Labels) -> None:
    """Let strokes into a layer not change the masks that it shows."""
    no_more_before_stroke(layer)
    masks = masks_of(layer)
    if masks is not None and layer.data is masks.labels:
        layer.data = masks.labels.copy()


def _on_mode_unwatched(event: Any) -> None:
    """The same for layers that no dock watches."""
    if event.source.mode in EDITING_MODES:
        _give_own_array(event.source)
