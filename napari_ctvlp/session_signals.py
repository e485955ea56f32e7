"""What a session tells; no Qt and no napari."""

from __future__ import annotations

from functools import partial

from psygnal import Signal

State = partial(Signal, reemission="latest-only")
"""Signal of what changes: where a listener changes it anew, those after it hear of the newest alone."""


class SessionSignals:
    """The signals of `napari_ctvlp.session.Session`.

    Notes
    -----
    Signals (psygnal) carry the new value: ``scan_changed``, ``masks_changed``, ``encoder_changed``,
    ``embedding_changed``, ``ranking_changed`` (Ranking or None), ``located_changed`` (SimilarityMap or None, some time
    after its ranking), ``scores_changed`` (tuple of AbnormalityScore), ``taught_changed`` (tuple of TaughtFinding),
    ``activity_changed`` (Activity or None), ``series_offered`` (path, series found, then) when a folder holds several:
    go on with ``open_scan(session, path, one of them, then)``; ``several_found``
    (`napari_ctvlp.scan.pairs.SeveralFound`) when files given together hold more than one scan, or more than one file of
    masks: go on with ``open_choice(session, several, place)``; ``words_changed`` (nothing) when the dictionary has
    changed, ``written`` (name of a file that was written), ``failed`` (exception: a
    `napari_ctvlp.errors.UserError` carries a sentence for the user).
    """

    scan_changed = State(object)
    masks_changed = State(object)
    encoder_changed = State(object)
    embedding_changed = State(object)
    ranking_changed = State(object)
    located_changed = State(object)
    scores_changed = State(object)
    taught_changed = State(object)
    activity_changed = State(object)
    series_offered = Signal(object, object, object)
    several_found = Signal(object)
    words_changed = Signal()
    written = Signal(str)
    failed = Signal(object)
