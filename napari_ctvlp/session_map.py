"""Where in its organs the answer of a session lies: when it is mapped, and when that is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctvlp.session_work import SessionWork
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp.ask.locate import SimilarityMap
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.rooms import Rooms
    from napari_ctvlp.scan.types import OrganMasks, Scan


class SessionMap(SessionWork):
    """The part of a session that maps its answer.

    Attributes
    ----------
    located : SimilarityMap, optional
        The map of the present answer, None where there is none yet.
    """

    scan: Scan | None
    masks: OrganMasks | None
    embedding: ScanEmbedding | None
    ranking: Ranking | None
    rooms: Rooms

    located: SimilarityMap | None = None
    _map_wanted = False

    def set_map_wanted(self, wanted: bool) -> None:
        """Whether answers are mapped even where places must be made for it, which takes a while."""
        self._map_wanted = wanted
        if wanted:
            self.locate()

    def map_answer(self) -> None:
        """Map the answer if that is wanted or takes no time; the map of the answer before is forgotten."""
        self.forget_map()
        dense = None if self.embedding is None else self.embedding.dense
        if self._map_wanted or getattr(dense, "made", dense) is not None:
            self.locate()

    @property
    def can_locate(self) -> bool:
        """Whether it can be mapped where in its organs the present answer lies."""
        there = self.embedding is not None and self.embedding.dense is not None and self.masks is not None
        return there and self.scan is not None and self.ranking is not None and self.ranking.best is not None

    def locate(self) -> None:
        """Map where in its organs the answer lies, unless that is done or under way."""
        embedding, masks, ranking, scan, rooms = self.embedding, self.masks, self.ranking, self.scan, self.rooms
        if not self.can_locate or self.located is not None or Task.LOCATE in self._bench:
            return
        assert embedding is not None and masks is not None and ranking is not None and scan is not None
        self._bench.start(
            Task.LOCATE,
            lambda _report, _cancelled: rooms.locate(embedding, masks, ranking, scan),
            self._set_located,
        )

    def forget_map(self) -> None:
        """Drop the map of the answer, and the work for it."""
        self._bench.drop(Task.LOCATE)
        self._set_located(None)

    def _set_located(self, located: SimilarityMap | None) -> None:
        if located is not self.located:
            self.located = located
            self.located_changed.emit(located)
