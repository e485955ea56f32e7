"""Other encoders beside the one of the session: each looks at the open scan, and its scores stand beside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctvlp.session import Report, Runner, Session, run_now

if TYPE_CHECKING:
    from napari_ctvlp.ask.compare import Opinion
    from napari_ctvlp.encoder.contract import ScanEmbedding, ScanEncoder
    from napari_ctvlp.scan.types import Scan

Cancelled = Callable[[], bool]


class SecondOpinions:
    """Encoders that are asked beside the chosen one, in the order they were added.

    Parameters
    ----------
    session : Session
        Whose scan and masks they look at.
    runner : Runner
        Where work runs.

    Notes
    -----
    Signals (psygnal): ``changed`` (tuple of Opinion, those that are ready), ``activity_changed`` (name and fraction, or
    None when idle), ``failed`` (exception). Encoders stay loaded until they are taken away; what arrives for another
    scan than the open one is dropped. A scan that one of them saw on another day comes from the cache, and after an
    edit of the masks it does only what it must, as the chosen one does.
    """

    changed = Signal(object)
    activity_changed = Signal(object)
    failed = Signal(object)

    def __init__(self, session: Session, runner: Runner = run_now) -> None:
        self._session = session
        self._runner = runner
        self._encoders: dict[str, ScanEncoder | None] = {}
        self._opinions: dict[str, Opinion] = {}
        self._seen: dict[str, tuple[Scan, ScanEmbedding]] = {}
        self._stop = threading.Event()
        self._busy = ""
        self._closed = False
        session.scan_changed.connect(self._on_open)
        session.masks_changed.connect(self._on_open)

    @property
    def names(self) -> tuple[str, ...]:
        """The encoders asked beside, ready or not."""
        return tuple(self._encoders)

    @property
    def opinions(self) -> tuple[Opinion, ...]:
        """What those say that are ready, in the order of ``names``."""
        return tuple(self._opinions[name] for name in self._encoders if name in self._opinions)

    def add(self, name: str) -> None:
        """Ask another encoder too; one that is asked already, or is the chosen one, is not asked twice."""
        if name not in self._encoders and name != self._session.encoder_name:
            self._encoders[name] = None
            self._go_on()

    def remove(self, name: str) -> None:
        """Ask an encoder no more, and let it go."""
        if name not in self._encoders:
            return
        del self._encoders[name]
        self._opinions.pop(name, None)
        self._seen.pop(name, None)
        if self._busy == name:
            self._drop()
        self.changed.emit(self.opinions)
        self._go_on()

    def set_names(self, names: Sequence[str]) -> None:
        """Ask these and no others, in this order."""
        for name in self.names:
            if name not in names:
                self.remove(name)
        for name in names:
            self.add(name)
        self._encoders = {name: self._encoders[name] for name in names if name in self._encoders}
        self.changed.emit(self.opinions)

    def cancel(self) -> None:
        """End the work under way, and ask that encoder no more."""
        if self._busy:
            self.remove(self._busy)

    def close(self) -> None:
        """Stop all work and emit nothing more."""
        self._closed = True
        self._stop.set()
        self._session.scan_changed.disconnect(self._on_open, missing_ok=True)
        self._session.masks_changed.disconnect(self._on_open, missing_ok=True)

    def _on_open(self, _scan_or_masks: object) -> None:
        self._drop()
        self._seen = {name: seen for name, seen in self._seen.items() if seen[0] is self._session.scan}
        if self._opinions:
            self._opinions.clear()
            self.changed.emit(())
        self._go_on()

    def _drop(self) -> None:
        self._stop.set()
        self._stop = threading.Event()
        if self._busy:
            self._busy = ""
            self.activity_changed.emit(None)

    def _go_on(self) -> None:
        """Start the next encoder that has not looked at the open scan; one at a time, for they are large."""
        scan, masks, rooms, stop = self._session.scan, self._session.masks, self._session.rooms, self._stop
        waiting = [name for name in self._encoders if name not in self._opinions]
        if self._closed or self._busy or scan is None or masks is None or not waiting:
            return
        name = self._busy = waiting[0]
        known, seen = self._encoders[name], self._seen.get(name)
        self.activity_changed.emit((name, None))

        def work(report: Report) -> tuple[ScanEncoder, ScanEmbedding, Opinion]:
            from napari_ctvlp.ask.compare import Opinion

            encoder = known if known is not None else rooms.load_encoder(name)
            if seen is None:
                embedding = rooms.encode_scan(encoder, scan, masks, report, stop.is_set)
            else:
                embedding = rooms.encode_again(encoder, scan, masks, seen[1], report, stop.is_set)
            return encoder, embedding, Opinion.of(embedding, rooms.score_abnormalities(embedding))

        def current() -> bool:
            return not self._closed and not stop.is_set() and self._busy == name

        def done(result: tuple[ScanEncoder, ScanEmbedding, Opinion]) -> None:
            if current():
                self._encoders[name], embedding, self._opinions[name] = result
                self._seen[name] = scan, embedding
                self._busy = ""
                self.activity_changed.emit(None)
                self.changed.emit(self.opinions)
                self._go_on()

        def failed(error: Exception) -> None:
            if current():
                del self._encoders[name]
                self._busy = ""
                self.activity_changed.emit(None)
                self.failed.emit(error)
                self.changed.emit(self.opinions)
                self._go_on()

        def progress(fraction: float) -> None:
            if current():
                self.activity_changed.emit((name, fraction))

        self._runner(work, progress=progress, done=done, failed=failed)
