"""Between the picker of encoders and what it picks: what is known, downloads, second opinions, the region."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_ctvlp._qt.dock import Dock
from napari_ctvlp._qt.encoder_picker import EncoderChoice
from napari_ctvlp._qt.findings_model import UNCALIBRATED
from napari_ctvlp.encoder.download import DownloadCancelled
from napari_ctvlp.encoder.install import Offer, fetch, offer, supply
from napari_ctvlp.encoder.region import region_note
from napari_ctvlp.encoder.registry import EncoderEntry, list_entries
from napari_ctvlp.errors import UserError
from napari_ctvlp.second_opinions import SecondOpinions
from napari_ctvlp.session import Report, Runner, Session
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp.ask.compare import Opinion


def choice_of(entry: EncoderEntry) -> EncoderChoice:
    """What the picker shows of an entry."""
    missing = entry.missing()
    size = f"{'about ' if missing else ''}{entry.size_mb:,.0f} MB" if entry.size_mb else "size not known"
    return EncoderChoice(
        entry.name,
        entry.licence,
        entry.trained_on,
        "any region" if entry.region == "body" else entry.region,
        size + (f"; memory {entry.memory}" if entry.memory else ""),
        str(entry.place),
        not missing,
    )


class Encoders:
    """Fills the picker, brings encoders here after the user's yes, asks several at once.

    Parameters
    ----------
    dock : Dock
    session : Session
    runner : Runner
        Where downloads and second opinions run.
    undo : Undo
        Takes back which others are asked.
    """

    def __init__(self, dock: Dock, session: Session, runner: Runner, undo: Undo) -> None:
        self._dock, self._session, self._runner, self._undo = dock, session, runner, undo
        self._picker = dock.encoder
        self._offered: Offer | None = None
        self._stop: threading.Event | None = None
        self._stopped = ""
        self._ticks, self._ticked = 0, ""
        self.others = SecondOpinions(session, runner)
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (session.encoder_changed, self._on_encoder),
            (session.masks_changed, self._on_masks),
            (session.scores_changed, self._show_scores),
            (self.others.changed, self._show_scores),
            (self.others.activity_changed, self._on_others_activity),
            (self.others.failed, self._on_others_failed),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        picker = self._picker
        picker.install_requested.connect(self.propose)
        picker.compare_toggled.connect(self._on_compare)
        picker.offer.agreed.connect(self._download)
        picker.offer.file_requested.connect(self._choose_file)
        picker.offer.cancel_requested.connect(self._cancel)
        self.refresh()

    def close(self) -> None:
        """Stop all work and say nothing more."""
        if self._stop is not None:
            self._stop.set()
        self.others.close()
        for signal, slot in self._connections:
            signal.disconnect(slot, missing_ok=True)

    def refresh(self) -> None:
        """Look again what there is."""
        self._entries = list_entries()
        choices = [choice_of(entry) for entry in self._entries.values()]
        self._picker.set_choices(choices, self._session.encoder_name, self.others.names)

    # -- bringing one here -------------------------------------------------------------------------------------

    def propose(self, name: str) -> None:
        """Show what installing an encoder means."""
        entry = list_entries().get(name)
        if entry is None or self._stop is not None:
            return
        # one of ours on the hub that is not whole: what it lacks is told, and nobody's network is used for that
        self._offered = Offer(entry, ()) if entry.origin else offer(name)
        self._show_offer()

    def _show_offer(self, before: str = "") -> None:
        """Show the terms of what is on offer with the buttons that agree to them, after what there is to tell first."""
        what = self._offered
        if what is None:
            return
        entry = what.entry
        wants_file = bool(entry.take) and not any((entry.place / f).is_file() for f in entry.supplied)
        told = [before, str(what) if what.files else "\n".join((entry.terms, *entry.missing()))]
        if wants_file and what.files:
            told.append(f"Its weights only you can bring: {entry.how}")
        text = "\n".join(filter(None, told)).strip()
        self._picker.offer.show_offer(text, can_download=bool(what.files), wants_file=wants_file)

    def _download(self) -> None:
        what = self._offered
        if what is not None:
            self._work(
                f"downloading {what.entry.name} ({what.size})",
                what.entry.name,
                lambda report, stop: fetch(what, agreed=True, progress=report, cancelled=stop),
                "Stopped; what came so far is kept, and the next download goes on from there.",
            )

    def _choose_file(self) -> None:
        dialog = QFileDialog(self._picker, "Checkpoint", "", "Checkpoint (*.pth *.pt *.safetensors)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.take_file)
        dialog.open()

    def take_file(self, path: str) -> None:
        """Take over a checkpoint that the user brought for the encoder that is on offer."""
        if self._offered is not None:
            name = self._offered.entry.name
            self._work(
                f"checking {Path(path).name}",
                name,
                lambda _report, stop: supply(name, Path(path), cancelled=stop),
                f"Stopped; {Path(path).name} was not taken over.",
            )

    def _work(self, text: str, name: str, work: Callable[[Report, Callable[[], bool]], None], stopped: str) -> None:
        """Do what brings an encoder here; ``stopped`` is said when the user ends it."""
        if self._stop is not None:
            return
        stop = self._stop = threading.Event()
        self._stopped = stopped
        row = self._picker.offer
        row.show_work(text, None)

        def progress(fraction: float) -> None:
            if not stop.is_set():
                row.show_work(text, fraction)

        def done(_: object) -> None:
            if self._end(stop):
                self._installed(name)

        def failed(error: Exception) -> None:
            if not self._end(stop):
                return
            if isinstance(error, UserError):
                self._show_offer(str(error))
            elif not isinstance(error, DownloadCancelled):
                row.close_offer()
                self._session.failed.emit(error)

        self._runner(lambda report: work(report, stop.is_set), progress=progress, done=done, failed=failed)

    def _end(self, stop: threading.Event) -> bool:
        """Whether this work was still wanted."""
        if self._stop is not stop or stop.is_set():
            return False
        self._stop = None
        return True

    def _installed(self, name: str) -> None:
        self.refresh()
        entry = list_entries().get(name)
        if entry is not None and entry.missing():
            self.propose(name)
            return
        self._picker.offer.close_offer()
        self._picker.encoder_chosen.emit(name)
        self.refresh()

    def _cancel(self) -> None:
        if self._stop is not None:
            self._stop.set()
            self._stop = None
            self._show_offer(self._stopped)
        else:
            self.others.cancel()
            self._forget_tick()
            self.refresh()
            self._show_region()

    # -- several at once ---------------------------------------------------------------------------------------

    def _on_compare(self, name: str, on: bool) -> None:
        before = self.others.names
        self._ticks += 1
        self._ticked = name if on else ""
        what = f"comparing with {name}" if on else f"no longer comparing with {name}"
        self._undo.push(what, partial(self._compare, before), series=f"comparing {self._ticks}")
        if on:
            self.others.add(name)
        else:
            self.others.remove(name)
        self._show_region()

    def _forget_tick(self) -> None:
        """A tick that came to nothing is no step."""
        if self._ticked and self._ticked not in self.others.names:
            self._undo.withdraw(f"comparing {self._ticks}")

    def _compare(self, names: Sequence[str]) -> None:
        """Ask these beside, as before a tick."""
        self.others.set_names(names)
        self.refresh()
        self._show_region()

    def _on_others_activity(self, activity: tuple[str, float | None] | None) -> None:
        if self._stop is not None:
            return  # a download has the row
        if activity is None:
            self._picker.offer.close_offer()
        else:
            self._picker.offer.show_work(f"asking {activity[0]} too", activity[1])

    def _on_others_failed(self, error: Exception) -> None:
        self._forget_tick()
        self.refresh()
        self._show_region()
        self._session.failed.emit(error)

    def _show_scores(self, _: object = None) -> None:
        from napari_ctvlp.ask.compare import compare

        session, embedding, opinions = self._session, self._session.embedding, self.others.opinions
        under_way = not session.scores and session.busy_with(Task.SCORES)  # what is not scored yet is not unknown
        if embedding is None or under_way:
            self._dock.findings.set_scores(())  # what stands there is about something else
            return
        encoder = embedding.encoder
        titles = [encoder.card.name, *(_title(o) for o in opinions)]
        if not encoder.calibration.fitted:
            titles[0] += UNCALIBRATED
        self._dock.findings.set_rows(compare(session.scores, embedding.groups, opinions), titles)

    # -- the one that answers ----------------------------------------------------------------------------------

    def _on_encoder(self, _encoder: object) -> None:
        self.others.remove(self._session.encoder_name)
        self.refresh()
        self._show_region()

    def _on_masks(self, _masks: object) -> None:
        self._show_region()

    def _show_region(self) -> None:
        """Tell of every encoder that is asked, the chosen one first, where the scan lies outside of its region."""
        masks, names = self._session.masks, (self._session.encoder_name, *self.others.names)
        told = [] if masks is None else [region_note(name, masks, self._entries) for name in names]
        self._picker.set_note("\n".join(filter(None, told)))


def _title(opinion: Opinion) -> str:
    return opinion.encoder if opinion.calibrated else f"{opinion.encoder}{UNCALIBRATED}"
