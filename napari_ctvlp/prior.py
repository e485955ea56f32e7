"""A prior scan beside the open one, and what has changed since; no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Report, Task

if TYPE_CHECKING:
    from napari_ctvlp.ask.followup import Exam, FollowUp
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.encoder.contract import Cancelled
    from napari_ctvlp.rooms import Rooms
    from napari_ctvlp.scan.types import MaskPaths
    from napari_ctvlp.session import Session

Given = tuple["str | Path", "MaskPaths | None", Any]
NO_MASKS = "A prior is compared organ by organ: give its organ masks as well, or a folder that holds both."


class Prior:
    """Reads a prior, has it encoded as the open scan is, and compares again whenever answers change.

    Parameters
    ----------
    session : Session
        Whose scan it is compared with; another scan closes the prior.

    Notes
    -----
    Signals (psygnal): ``changed`` (FollowUp, or None without a prior), ``series_offered`` (the path, and the series
    that were found there: go on with ``open(path, masks, series)``), ``opened`` (`given` of the prior before, or None)
    when another prior was opened that nobody asked for anew. What fails is told by the session.

    ``given`` is what the prior was opened with (path, masks, series): opening it again brings a closed one back.
    """

    changed = Signal(object)
    series_offered = Signal(object, object)
    opened = Signal(object)

    def __init__(self, session: Session) -> None:
        self._session = session
        self.exam: Exam | None = None
        self.found: FollowUp | None = None
        self.given: Given | None = None
        session.scan_changed.connect(self._on_scan)
        session.masks_changed.connect(self._on_masks)
        session.scores_changed.connect(self._refresh)

    def open(self, path: str | Path, masks: MaskPaths | None = None, series: Any = None, *, news: bool = True) -> None:
        """Open a prior with its masks; a folder may hold both. ``news`` is False where one comes back."""
        session, rooms = self._session, self._session.rooms
        if session.scan is None or session.masks is None:
            session.failed.emit(UserError("Open the present scan with its organ masks before its prior."))
            return
        now, taught = self._now(), session.taught

        def work(report: Report, cancelled: Cancelled) -> tuple[Exam | None, FollowUp | None, Sequence[Any]]:
            from napari_ctvlp.ask.followup import Exam

            scan_path, masks_path = path, masks
            if Path(path).is_dir():
                if masks is None:
                    given = rooms.sort_out([path], False)
                    scan_path, masks_path = given.scan or path, given.masks
                else:
                    scan_path = rooms.scan_in(path, masks)
            if masks_path is None:
                raise UserError(NO_MASKS)
            found = rooms.list_series(scan_path) if series is None and Path(scan_path).is_dir() else ()
            if len(found) > 1:
                return None, None, found
            scan = rooms.read_scan(scan_path, series)
            exam = Exam(scan, rooms.read_masks(masks_path, scan))
            return (*compared(exam, now, rooms, taught, report, cancelled), ())

        def done(result: tuple[Exam | None, FollowUp | None, Sequence[Any]]) -> None:
            exam, found, offered = result
            if offered:
                self.series_offered.emit(path, offered)
            else:
                before = self.given
                if self._done(now, exam, found):
                    self.given = (path, masks, series)
                    if news:
                        self.opened.emit(before)

        session.run(Task.PRIOR, work, done)

    def open_paths(self, paths: Sequence[str | Path]) -> None:
        """Open a prior that was given together with its masks."""
        session = self._session

        def done(given: Any) -> None:
            if given.scan is None:
                session.failed.emit(UserError("None of these is a scan; give the prior's scan and its masks together."))
            else:
                self.open(given.scan, given.masks)

        session.run(Task.PRIOR, lambda _report, _cancelled: session.rooms.sort_out(paths, False), done)

    def close(self) -> None:
        """Forget the prior."""
        self._set(None, None)

    def disconnect(self) -> None:
        """Forget the prior, and listen to the session no more."""
        session = self._session
        session.scan_changed.disconnect(self._on_scan, missing_ok=True)
        session.masks_changed.disconnect(self._on_masks, missing_ok=True)
        session.scores_changed.disconnect(self._refresh, missing_ok=True)
        self.exam = self.found = self.given = None

    def _now(self) -> Exam:
        from napari_ctvlp.ask.followup import Exam

        session = self._session
        assert session.scan is not None and session.masks is not None
        return Exam(session.scan, session.masks, session.embedding, session.scores)

    def _done(self, now: Exam, exam: Exam | None, found: FollowUp | None) -> bool:
        """Take what came out, unless another scan has been opened; compare again where answers have changed."""
        session = self._session
        if now.scan is not session.scan or now.masks is not session.masks:
            return False
        self._set(exam, found)
        if now.embedding is not session.embedding or now.scores is not session.scores:
            self._refresh()
        return True

    def _set(self, exam: Exam | None, found: FollowUp | None) -> None:
        if exam is None and self.exam is None:
            return
        self.exam, self.found = exam, found
        if exam is None:
            self.given = None
        self.changed.emit(found)

    def _refresh(self, _: object = None) -> None:
        session, exam = self._session, self.exam
        if exam is None or session.scan is None or session.masks is None:
            return
        now, rooms, taught = self._now(), session.rooms, session.taught

        def done(result: tuple[Exam, FollowUp]) -> None:
            self._done(now, *result)

        session.run(Task.PRIOR, lambda report, cancelled: compared(exam, now, rooms, taught, report, cancelled), done)

    def _on_scan(self, _scan: object) -> None:
        self.close()

    def _on_masks(self, masks: object) -> None:
        if masks is None:
            self.close()


def compared(
    prior: Exam,
    now: Exam,
    rooms: Rooms,
    taught: Sequence[TaughtFinding] = (),
    report: Report = lambda _: None,
    cancelled: Cancelled = lambda: False,
) -> tuple[Exam, FollowUp]:
    """The prior as the encoder of ``now`` sees it, and what has changed since."""
    from napari_ctvlp.ask.followup import follow_up

    if now.embedding is None:
        prior = replace(prior, embedding=None, scores=())
    else:
        own = prior.embedding
        if own is None or own.encoder is not now.embedding.encoder:
            own = rooms.encode_scan(now.embedding.encoder, prior.scan, prior.masks, report, cancelled)
        prior = replace(prior, embedding=own, scores=rooms.scores(own, taught, prior.masks, prior.scan))
    return prior, follow_up(prior, now)
