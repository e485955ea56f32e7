"""From the question line to the session, and from its answers to the dock and the canvas."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp._qt.answer_label import next_step
from napari_ctvlp._qt.overlay import Overlay, ranking_scores
from napari_ctvlp.anatomy.query import suggestions

if TYPE_CHECKING:
    from napari_ctvlp._qt.dock import Dock
    from napari_ctvlp._qt.navigator import Navigator, Place
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.window_level import WindowLevel
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.encoder.contract import ScanEncoder
    from napari_ctvlp.session import Session


class Answering:
    """Asks, and shows what comes of it: sentence, tables, glow, jump.

    Parameters
    ----------
    dock, session, overlay, navigator, window_level, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        dock: Dock,
        session: Session,
        overlay: Overlay,
        navigator: Navigator,
        window_level: WindowLevel,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._dock = dock
        self._session = session
        self._overlay = overlay
        self._navigator = navigator
        self._window_level = window_level
        self._undo = undo
        dock.query.asked.connect(self._on_asked)
        dock.ranking.organ_chosen.connect(navigator.choose)
        dock.findings.organ_chosen.connect(navigator.choose)
        dock.use_names.toggled.connect(session.set_use_names)
        dock.progress.cancel_requested.connect(session.cancel)
        dock.encoder.encoder_chosen.connect(self._on_encoder_chosen)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(session.encoder_changed, self._on_encoder_changed)
        wiring.connect(session.ranking_changed, self._on_ranking_changed)
        wiring.connect(session.activity_changed, self._on_activity_changed)
        dock.query.set_suggestions(suggestions())

    def ask(self, text: str) -> None:
        """Ask as if typed into the line."""
        self._dock.query.setText(text)
        self._on_asked(text)

    def _on_asked(self, text: str) -> None:
        before = self._session.query
        if text.strip() or before:
            what = f"asking “{text.strip()}”" if text.strip() else "clearing the question"
            self._undo.push(what, partial(self._take_back, before, self._navigator.place, self._window_level.value))
        self._session.ask(text)
        self._dock.query.set_history(self._session.history)

    def _take_back(self, question: str, place: Place, window: tuple[float, float] | None) -> None:
        """Ask as before, look where one looked before, with the window of then."""
        self._dock.query.setText(question)
        self._session.ask(question, news=False)
        self._navigator.return_to(place)
        if window is not None:
            self._window_level.restore(window)

    def _on_encoder_chosen(self, name: str) -> None:
        before = self._session.encoder_name
        if name != before:
            self._undo.push(f"encoder {Path(name).name}", partial(self._back_to_encoder, before))
        self._session.use_encoder(name)

    def _back_to_encoder(self, name: str) -> None:
        """Answer with the encoder of before; what it saw of this scan is still in the cache of embeddings."""
        self._dock.encoder.choose(name)
        self._session.use_encoder(name)

    def _on_masks_changed(self, masks: object) -> None:
        self._show_hint()

    def _on_encoder_changed(self, encoder: ScanEncoder) -> None:
        self._dock.encoder.set_card(encoder.card)

    def _on_ranking_changed(self, ranking: Ranking | None) -> None:
        masks = self._session.masks
        self._dock.ranking.set_ranking(ranking)
        if ranking is None or masks is None:
            self._overlay.reset()
            self._show_hint()
            return
        self._dock.answer.set_ranking(ranking)
        best = ranking.best
        if best is None:
            self._overlay.reset()
        else:
            self._overlay.show(ranking_scores(ranking, masks))
            if self._session.is_news:
                self._navigator.jump(best.organ)

    def _on_activity_changed(self, activity: Any) -> None:
        self._dock.progress.set_activity(activity)
        self._show_hint()

    def _show_hint(self) -> None:
        if self._session.ranking is None:
            self._dock.answer.set_hint(next_step(self._session))
