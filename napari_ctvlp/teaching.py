"""Teaching findings on the open scan: what a click or a command does to the session's taught findings; no Qt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.scan.types import Scan
    from napari_ctvlp.session import Session

SOME = 3
"""So many organs of an entry are named, the rest is counted."""
_HASHES: WeakKeyDictionary[Scan, str] = WeakKeyDictionary()


def anonymous_scan(scan: Scan) -> str:
    """16 hex digits that tell this scan from others, from its voxels alone (30 ms for 600 slices, once)."""
    if scan not in _HASHES:
        from napari_ctvlp.scan.fingerprint import combined_hash, scan_hash

        _HASHES[scan] = combined_hash("taught example", scan_hash(scan)).split(":")[1][:16]
    return _HASHES[scan]


def mark(session: Session, name: str, organ: str, present: bool) -> TaughtFinding:
    """Make an organ of the open scan an example of a finding, which is new where its name is.

    Returns
    -------
    TaughtFinding
        The finding as it is now; `Session.scores_changed` tells its scores some time later.

    Raises
    ------
    UserError
        When there is no encoded scan, no name, or the organ cannot be an example; of an entry of the dictionary it can
        be one only where that looks.
    """
    from napari_ctvlp.ask.teach import EncoderKey, TaughtFinding, checked_name, example_of

    embedding, scan = session.embedding, session.scan
    if embedding is None or scan is None:
        raise UserError("An example needs a scan with organ masks that has been encoded; open one first.")
    key, name = EncoderKey.of(embedding.encoder.card), checked_name(name)
    if why := refusal(session, name, organ):
        raise UserError(why)
    known = find(session, name)
    if known is None:
        known = TaughtFinding(name, key)
    changed = known.with_example(example_of(embedding, organ, present, anonymous_scan(scan)))
    rest = tuple(f for f in session.taught if f is not known)
    session.set_taught((*rest, changed))
    return changed


def refusal(session: Session, name: str, organ: str) -> str:
    """Why an organ cannot be an example of an entry of the dictionary: it does not look there. Else an empty text."""
    if session.embedding is None:
        return ""
    called = name.strip().casefold()
    for entry in session.rooms.known_entries(session.embedding.encoder):
        if called in (entry.name.casefold(), entry.key.replace("_", " ")) and organ not in entry.organs:
            where = [display_name(o) for o in entry.organs[:SOME]]
            more = len(entry.organs) - len(where)
            listed = ", ".join(where) + (f" and {more} more" if more else "")
            return (
                f"{entry.name[:1].upper()}{entry.name[1:]} is looked for in {listed}, so the {display_name(organ)} "
                f"cannot be an example of it; give what is there a name of its own."
            )
    return ""


def find(session: Session, name: str) -> TaughtFinding | None:
    """The finding of this name (in any case) for the encoder of the open scan."""
    from napari_ctvlp.ask.teach import EncoderKey

    if session.embedding is None:
        return None
    key = EncoderKey.of(session.embedding.encoder.card)
    return next((f for f in session.taught if f.encoder == key and f.name.casefold() == name.casefold()), None)


def forget(session: Session, finding: TaughtFinding) -> None:
    """Take a taught finding away."""
    session.set_taught([f for f in session.taught if f is not finding])


def take(session: Session, path: str | Path) -> tuple[TaughtFinding, ...]:
    """Add the findings of a file; one of the same name and encoder gets the examples of both.

    Raises
    ------
    UserError
        When the file cannot be used; when an encoder is loaded, also when it belongs to another one.
    """
    from napari_ctvlp.ask.taught_file import read_taught

    read = read_taught(path, None if session.encoder is None else session.encoder.card)
    session.set_taught(merged(session.taught, read))
    return read


def merged(known: tuple[TaughtFinding, ...], more: tuple[TaughtFinding, ...]) -> tuple[TaughtFinding, ...]:
    """Both, those of one name and encoder joined."""
    found = list(known)
    for new in more:
        place = next(
            (i for i, f in enumerate(found) if f.encoder == new.encoder and f.name.casefold() == new.name.casefold()),
            None,
        )
        if place is None:
            found.append(new)
            continue
        joined = found[place]
        for example in new.examples:
            joined = joined.with_example(example)
        found[place] = joined
    return tuple(found)
