"""A session in a small JSON file: what was open, what was asked, how it was looked at. No voxels and no patient names.

Files are remembered by path, also as seen from the session's own file, and by a hash of what they held, so that a
restored session finds them in a folder that was moved and says when they have changed. Masks that are in no file, or
only in the cache, are kept in one beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp.errors import UserError
from napari_ctvlp.files import write_whole
from napari_ctvlp.opening import open_masks, open_sample, open_scan
from napari_ctvlp.saved_view import SavedView, view_from_json

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import ScanEncoder
    from napari_ctvlp.scan.types import OrganMasks
    from napari_ctvlp.session import Session

FORMAT = 1
SUFFIX = ".ctvlp.json"
SAMPLE = "sample"
"""Stands for the path of the built-in sample (`napari_ctvlp.sample.SOURCE`, which takes time to import)."""


@dataclass(frozen=True)
class SavedSession:
    """All that a session is restored from.

    Paths are absolute, those that end in ``beside`` are relative to the folder of the session's own file; ``drawn`` is
    the name of a file beside that keeps masks which are in no other, with their scheme and notes; ``taught`` holds
    findings as `napari_ctvlp.ask.taught_file` writes them.
    """

    scan: str = ""
    scan_beside: str = ""
    scan_hash: str = ""
    series: str = ""
    masks: str = ""
    masks_beside: str = ""
    masks_hash: str = ""
    drawn: str = ""
    masks_scheme: str = ""
    masks_notes: tuple[str, ...] = ()
    encoder: str = "starter"
    encoder_revision: str = ""
    query: str = ""
    history: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    use_names: bool = True
    taught: tuple[Any, ...] = ()
    view: SavedView = field(default_factory=SavedView)


def capture(session: Session, view: SavedView | None = None, pinned: Sequence[str] = ()) -> SavedSession:
    """What a session is now, and which questions are pinned; tells by a DICOM folder's headers which series is open.

    Masks that are in no file are not kept by this alone, see `save`.

    Raises
    ------
    UserError
        When no scan is open, or it came from no file.
    """
    from napari_ctvlp.ask.taught_file import as_json
    from napari_ctvlp.scan.dicom_seg import series_key
    from napari_ctvlp.scan.fingerprint import masks_hash, scan_hash

    scan, masks = session.scan, session.masks
    if scan is None:
        raise UserError("There is no open scan to remember; open one first.")
    if not scan.source:
        raise UserError(f"{scan.name}: was not read from a file, so a session cannot find it again.")
    return SavedSession(
        scan=scan.source if scan.source == SAMPLE else str(Path(scan.source).resolve()),
        scan_hash=scan_hash(scan),
        series=series_key(scan),
        masks=masks_path(masks),
        masks_hash="" if masks is None else masks_hash(masks),
        encoder=session.encoder_name,
        encoder_revision="" if session.encoder is None else session.encoder.card.revision,
        query=session.asked,
        history=tuple(session.history),
        pinned=tuple(pinned),
        use_names=session.use_names,
        taught=tuple(as_json(finding) for finding in session.taught),
        view=view or SavedView(),
    )


def masks_path(masks: OrganMasks | None) -> str:
    """Absolute path of the file that masks were read from, empty where there is none of the user's own."""
    from napari_ctvlp.saved_masks import are_in_no_file

    if masks is None or masks.source in ("", SAMPLE) or are_in_no_file(masks):
        return ""
    return str(Path(masks.source).resolve())


def save(path: Path, session: Session, view: SavedView | None = None, pinned: Sequence[str] = ()) -> None:
    """Write what a session is now, with masks that are in no file beside it.

    Raises
    ------
    UserError
        When there is nothing to remember, or the place cannot be written to.
    """
    from napari_ctvlp.saved_masks import are_in_no_file, name_beside, remove_beside, write_beside
    from napari_ctvlp.scan.fingerprint import masks_hash

    scan, masks = session.scan, session.masks
    saved = capture(session, view, pinned)
    saved = replace(saved, scan_beside=_beside(path.parent, saved.scan), masks_beside=_beside(path.parent, saved.masks))
    if scan is not None and masks is not None and are_in_no_file(masks) and saved.masks_hash == masks_hash(masks):
        name = name_beside(path, saved.masks_hash)
        saved = replace(saved, drawn=name, masks_scheme=masks.scheme, masks_notes=tuple(masks.notes))
        write_beside(path, name, scan, masks)
    try:
        before = read_session(path).drawn if path.exists() else ""
    except UserError:
        before = ""
    write_session(path, saved)
    if before not in ("", saved.drawn):
        remove_beside(path, before)


def _beside(folder: Path, path: str) -> str:
    """A path as seen from a folder; empty where there is none, as between two drives."""
    if not Path(path).is_absolute():
        return ""
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        return ""


def _found(path: str, beside: str, folder: Path | None) -> str:
    """Where a file lies now: where it did, else where it did as seen from the session's own file."""
    if folder is None or not beside or Path(path).exists():
        return path
    near = (folder / beside).resolve()
    return str(near) if near.exists() else path


def write_session(path: str | Path, saved: SavedSession) -> None:
    """Write a session; the file is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    text = json.dumps({"format": FORMAT, **asdict(saved)}, indent=1, ensure_ascii=False)
    write_whole(Path(path), text + "\n")


def read_session(path: str | Path) -> SavedSession:
    """Read and check a session.

    Raises
    ------
    UserError
        When it cannot be read, is none, or is of another format.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror or 'unknown reason'}.") from error
    except ValueError as error:
        raise UserError(f"{path.name}: is no saved session (it is not JSON).") from error
    if not isinstance(data, dict) or "format" not in data:
        raise UserError(f"{path.name}: is no saved session of this plugin.")
    if data["format"] != FORMAT:
        raise UserError(f"{path.name}: has format {data['format']!r}; this version reads {FORMAT}.")
    try:
        return _checked(data)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise UserError(f"{path.name}: is damaged; save the session again.") from error


def restore(
    session: Session, saved: SavedSession, then: Callable[[], None] | None = None, folder: Path | None = None
) -> None:
    """Open what was open and ask what was asked.

    ``folder`` is that of the session's file, where masks that are in no other file are kept. ``then`` is called when
    the scan and its masks are open. Files that are missing or have changed are told through ``session.failed``; what
    can be opened is.
    """
    from napari_ctvlp.saved_masks import open_beside
    from napari_ctvlp.scan.fingerprint import masks_hash, scan_hash

    def warn(name: str, what: str) -> None:
        session.failed.emit(UserError(f"{name}: {what} since the session was saved; answers may differ."))

    def with_masks() -> None:
        if session.masks is not None and masks_hash(session.masks) != saved.masks_hash:
            warn(saved.drawn or Path(saved.masks).name, "the masks have changed")
        if then is not None:
            then()

    def with_scan() -> None:
        session.is_news = False  # it was answered when it was saved, and the view is that of then
        if session.scan is not None and scan_hash(session.scan) != saved.scan_hash:
            warn(Path(saved.scan).name, "the scan has changed")
        if saved.drawn and folder is not None:
            open_beside(session, folder, saved, with_masks)
        elif saved.masks:
            open_masks(session, _found(saved.masks, saved.masks_beside, folder), with_masks)
        else:
            if saved.masks_hash and saved.scan != SAMPLE:
                warn(Path(saved.scan).name, "its masks came from no file and are not there")
            with_masks()

    session.history[:] = saved.history
    session.set_use_names(saved.use_names)
    if saved.taught:
        from napari_ctvlp.ask.taught_file import from_json
        from napari_ctvlp.teaching import merged

        session.set_taught(merged(session.taught, tuple(from_json(item) for item in saved.taught)))
    if saved.encoder != session.encoder_name:
        session.use_encoder(saved.encoder)
    _compare_encoder(session, saved)
    session.ask(saved.query, news=False)
    if saved.scan == SAMPLE:
        open_sample(session, with_scan)
    elif saved.scan:
        open_scan(session, _found(saved.scan, saved.scan_beside, folder), saved.series or None, with_scan)


def _compare_encoder(session: Session, saved: SavedSession) -> None:
    """Tell, as soon as the encoder is loaded, when it is not the one that answered when the session was saved."""

    def compare(encoder: ScanEncoder) -> None:
        session.encoder_changed.disconnect(compare, missing_ok=True)
        if session.encoder_name == saved.encoder and encoder.card.revision != saved.encoder_revision:
            text = "another version of this encoder answers now than when the session was saved; answers may differ."
            session.failed.emit(UserError(f"{encoder.card.name}: {text}"))

    if not saved.encoder_revision:
        return
    if session.encoder is not None:
        compare(session.encoder)
    else:
        session.encoder_changed.connect(compare)


def _checked(data: dict[str, Any]) -> SavedSession:
    """Values of the right kind, whatever the file says; unknown fields are left out."""
    kinds = {f.name: f.type for f in fields(SavedSession)}
    values: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name not in data or name == "view":
            continue
        value: Any = data[name]
        if (kind == "str" and not isinstance(value, str)) or (kind == "bool" and not isinstance(value, bool)):
            raise TypeError(name)
        values[name] = value
        if name in ("history", "pinned", "masks_notes"):
            values[name] = tuple(str(v) for v in value)
        elif name == "taught":
            values[name] = _taught(value)
    values["view"] = view_from_json(data.get("view") or {})
    return SavedSession(**values)


def _taught(value: Any) -> tuple[Any, ...]:
    from napari_ctvlp.ask.taught_file import from_json

    if value:
        try:
            for item in value:
                from_json(item)
        except (AttributeError, UserError) as error:
            raise ValueError("taught") from error
    return tuple(value)
