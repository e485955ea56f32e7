"""What was open and asked before a saved session took its place, to go back to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari.layers import Image, Labels, Layer

if TYPE_CHECKING:
    from napari_ctvlp._qt.view_state import ViewState
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.queries import Queries
    from napari_ctvlp.saved_view import SavedView
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session

Shown = tuple[Image | None, Labels | None]
"""The layers of the open scan and of its masks."""


@dataclass(frozen=True, eq=False)
class Before:
    """A session as it was, in memory: scan and masks are still there and need not be read again.

    Attributes
    ----------
    scan, masks, encoder_name, query, use_names, taught
        As in `Session`.
    history, pinned : tuple of str
        Questions.
    view : SavedView
        How the scan was looked at.
    layers : set of layers
        What was there: a saved session may show some of it again.
    """

    scan: Scan | None
    masks: OrganMasks | None
    encoder_name: str
    query: str
    use_names: bool
    taught: tuple[TaughtFinding, ...]
    history: tuple[str, ...]
    pinned: tuple[str, ...]
    view: SavedView
    layers: WeakSet[Layer]

    @classmethod
    def of(cls, session: Session, queries: Queries, view: SavedView, layers: Iterable[Layer]) -> Before:
        """What a session is now, looked at as in ``view``, with these layers there."""
        return cls(
            session.scan,
            session.masks,
            session.encoder_name,
            session.query,
            session.use_names,
            session.taught,
            tuple(session.history),
            queries.pinned,
            view,
            WeakSet(layers),
        )

    def open_again(self, session: Session, viewer: Any, shown: Shown) -> None:
        """Take away the layers of the scan that came since, and open the one of before."""
        came = () if session.scan is self.scan else shown
        if self.scan is not None:
            session.set_scan(self.scan, self.masks)
        for layer in came:
            if layer is not None and layer in viewer.layers and layer not in self.layers:
                viewer.layers.remove(layer)
        # with a layer goes the selection, which may have opened a third scan
        session.set_scan(self.scan, self.masks)
        session.set_masks(self.masks)

    def ask_again(self, session: Session, queries: Queries) -> None:
        """Ask what was asked, with the encoder, the words and the examples of then."""
        session.set_use_names(self.use_names)
        session.set_taught(self.taught)
        if session.encoder_name != self.encoder_name:
            session.use_encoder(self.encoder_name)
        session.ask(self.query, news=False)
        queries.restore(self.history, self.pinned)

    def look_again(self, viewer: Any, scan_layer: Image | None, view: ViewState) -> None:
        """Look as then."""
        if scan_layer is not None:
            viewer.layers.selection.active = scan_layer
        view.give(self.view)
