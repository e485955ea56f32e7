"""Masks that are in no file of the user's (drawn, edited, named by hand, made here), kept beside a saved session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp.saved_session import SavedSession
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session

ENDING = ".masks.nii.gz"
DIGITS = 8
"""Of the masks' hash, in the name of their file: what an older session refers to is never overwritten."""


def are_in_no_file(masks: OrganMasks | None) -> bool:
    """Whether these masks would be lost with the session, or with the cache, where those made by the button are."""
    if masks is None or not masks.names:
        return False
    return not masks.source or Path(masks.source).resolve().is_relative_to(cache_folder("masks").resolve())


def name_beside(session_file: Path, hash_text: str) -> str:
    """Name of the file that keeps the masks of a session."""
    stem = session_file.name.split(".")[0] or "session"
    return f"{stem}.{hash_text.rsplit(':', 1)[-1][:DIGITS]}{ENDING}"


def write_beside(session_file: Path, name: str, scan: Scan, masks: OrganMasks) -> None:
    """Write masks, voxel for voxel, beside the file of a session; they are complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    from napari_ctvlp.scan.nifti_out import write_straight_masks

    write_straight_masks(session_file.parent / name, scan, masks)


def remove_beside(session_file: Path, name: str) -> None:
    """Remove masks that a session refers to no more, unless a copy of it does."""
    folder = session_file.parent
    if is_name_beside(name):
        with suppress(OSError, UnicodeDecodeError):  # then they stay, and harm nobody
            if not any(name in other.read_text(encoding="utf-8") for other in folder.glob("*.json")):
                (folder / name).unlink(missing_ok=True)


def is_name_beside(name: str) -> bool:
    """Whether this is a plain name as `name_beside` gives; a session file may come from anybody."""
    return name.endswith(ENDING) and "/" not in name and "\\" not in name


def open_beside(session: Session, folder: Path, saved: SavedSession, then: Callable[[], None]) -> None:
    """Make the kept masks those of the open scan, as they were; ``then`` is called when they are open."""
    scan, rooms, path = session.scan, session.rooms, folder / saved.drawn
    if scan is None:
        return

    def work() -> OrganMasks:
        if not is_name_beside(saved.drawn) or not path.is_file():
            raise UserError(f"{path.name}: the masks that were kept with the session are not beside it any more.")
        masks = rooms.read_masks(path, scan)
        return dataclasses.replace(masks, scheme=saved.masks_scheme, notes=saved.masks_notes, source="")

    def done(masks: OrganMasks) -> None:
        session.set_masks(masks)
        then()

    session.run(Task.MASKS, lambda _report, _cancelled: work(), done)
