"""A saved session answered without a window, by the code that restores it in one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import Results, answers_of
from napari_ctvlp.saved_session import read_session, restore
from napari_ctvlp.session import Session

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.scan.types import OrganMasks, Scan


@dataclass(frozen=True, eq=False)
class SavedAnswers:
    """What was open, what was asked, and the answers in the layout of the JSON file."""

    scan: Scan
    masks: OrganMasks
    embedding: ScanEmbedding
    questions: tuple[str, ...]
    use_names: bool
    answers: dict[str, Any]


def answers_of_saved(path: Path, also_asked: Sequence[str] = (), *, by_sight: bool = False) -> SavedAnswers:
    """Open what a saved session had open, and answer all that was asked and pinned in it.

    Parameters
    ----------
    path : Path
    also_asked : sequence of str
        Further questions.
    by_sight : bool
        Organ names do not count, whatever they did in the session.

    Raises
    ------
    UserError
        When the session, its scan, its masks or its encoder cannot be read. Files that have changed since are told on
        standard error.
    """
    from napari_ctvlp.commands import tell_doubts, tell_region

    saved = read_session(path)
    if by_sight:
        saved = replace(saved, use_names=False)
    session, told = Session(), list[Exception]()
    session.failed.connect(told.append)
    session.series_offered.connect(lambda _path, found, _then: told.append(_several(len(found))))
    restore(session, saved, folder=path.parent)
    scan, masks, embedding = session.scan, session.masks, session.embedding
    if scan is None or masks is None or embedding is None:
        raise told[0] if told else UserError(f"{path.name}: holds no scan with organ masks, which answers need.")
    for error in told:
        if not isinstance(error, UserError):
            raise error
        print(f"note: {error}", file=sys.stderr)
    tell_doubts(scan, masks)
    tell_region(session.encoder_name, masks)
    results = replace(Results.of(session), pinned=saved.pinned)
    results = replace(results, history=(*results.history, *also_asked))
    return SavedAnswers(scan, masks, embedding, results.questions(), session.use_names, answers_of(results))


def _several(count: int) -> UserError:
    return UserError(f"The folder of the session's scan holds {count} series now; which was open is not known.")
