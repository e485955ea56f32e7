"""Opening files in a session: a scan, its masks, several files given together, the sample; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp.errors import UserError
from napari_ctvlp.known_files import known_masks, known_scan
from napari_ctvlp.work import Report, Task

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import Cancelled
    from napari_ctvlp.scan.pairs import Given, SeveralFound
    from napari_ctvlp.scan.types import MaskPaths, OrganMasks, Scan
    from napari_ctvlp.session import Session

Then = Callable[[], None] | None
"""What is called after something was opened, and not when reading failed (``session.failed`` tells why)."""


def open_scan(session: Session, path: str | Path, series: Any = None, then: Then = None) -> None:
    """Read a scan and make it the open one; a folder with several series is offered, not guessed."""
    rooms, known = session.rooms, session.known.scans

    def work(_report: Report, _cancelled: Cancelled) -> tuple[Scan | None, Sequence[Any]]:
        found = rooms.list_series(path) if series is None and Path(path).is_dir() else ()
        return (None, found) if len(found) > 1 else (known_scan(rooms.read_scan(path, series), known), ())

    def done(result: tuple[Scan | None, Sequence[Any]]) -> None:
        scan, found = result
        if scan is None:
            session.series_offered.emit(path, found, then)
            return
        session.set_scan(scan)
        if then is not None:
            then()

    session.run(Task.SCAN, work, done)


def open_paths(session: Session, paths: Sequence[str | Path]) -> None:
    """Open what was given together: a scan, masks of the open scan, a scan with its masks, or a folder of these.

    Where several could be meant they are offered (``session.several_found``).
    """
    rooms, scan_open = session.rooms, session.scan is not None

    def work(_report: Report, _cancelled: Cancelled) -> Given | SeveralFound:
        from napari_ctvlp.scan.pairs import SeveralFound

        try:
            return rooms.sort_out(paths, scan_open)
        except SeveralFound as several:
            return several

    def done(given: Given | SeveralFound) -> None:
        if isinstance(given, UserError):
            session.several_found.emit(given)
        elif given.scan is not None:
            _open_pair(session, given.scan, given.masks)
        elif given.masks is not None:
            open_masks(session, given.masks)

    session.run(Task.SCAN, work, done)


def open_choice(session: Session, several: SeveralFound, place: int | None) -> None:
    """Open one of several that were found, with the scan that lies beside; None takes none of several masks."""
    chosen = None if place is None else several.choices[place]
    if several.what == "scans":
        if chosen is not None:
            open_scan(session, chosen)
    elif several.scan is not None:
        _open_pair(session, several.scan, chosen)
    elif chosen is not None:
        open_masks(session, chosen)


def _open_pair(session: Session, scan: Path, masks: MaskPaths | None) -> None:
    open_scan(session, scan, None, None if masks is None else lambda: open_masks(session, masks))


def open_sample(session: Session, then: Then = None) -> None:
    """Make the built-in synthetic scan with its masks the open one."""
    rooms, scans, masks = session.rooms, session.known.scans, session.known.masks

    def work(_report: Report, _cancelled: Cancelled) -> tuple[Scan, OrganMasks]:
        scan, organs = rooms.load_sample()
        return known_scan(scan, scans), known_masks(organs, masks)

    def done(result: tuple[Scan, OrganMasks]) -> None:
        scan, organs = result
        session.set_scan(scan)
        session.run(Task.MASKS, lambda _report, _cancelled: organs, done_with_masks)  # a turn for each: both take long

    def done_with_masks(organs: OrganMasks) -> None:
        session.set_masks(organs)
        if then is not None:
            then()

    session.run(Task.SCAN, work, done)


def open_masks(session: Session, path: MaskPaths, then: Then = None) -> None:
    """Read organ masks for the open scan."""
    scan, rooms, known = session.scan, session.rooms, session.known.masks
    if scan is None:
        name = Path(path if isinstance(path, str | Path) else path[0]).name
        session.failed.emit(UserError(f"{name}: organ masks need a scan; open the scan first."))
        return

    def done(masks: OrganMasks) -> None:
        session.set_masks(masks)
        if then is not None:
            then()

    session.run(Task.MASKS, lambda _report, _cancelled: known_masks(rooms.read_masks(path, scan), known), done)


def make_masks(session: Session, fast: bool = False) -> None:
    """Make organ masks of the open scan with TotalSegmentator, and encode them."""
    scan, rooms = session.scan, session.rooms
    if scan is not None:
        session.run(
            Task.SEGMENTING,
            lambda report, cancelled: rooms.segment(scan, fast, report, cancelled),
            session.set_masks,
            fraction=0.0,
        )
