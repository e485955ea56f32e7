"""Open the window on a scan, with a question asked, as the command line does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctvlp._qt.display import check_display
from napari_ctvlp._qt.own_drawing import work_out_once
from napari_ctvlp._qt.own_process import keep_out_of_collections, share_arenas, share_canvases
from napari_ctvlp.errors import UserError
from napari_ctvlp.opening import open_masks, open_sample, open_scan

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.main_widget import CtvlpWidget
    from napari_ctvlp.session import Session

DOCK_NAME = "CT query (napari-ctvlp)"
"""The name under which napari itself docks the widget, so that its menu finds this one instead of adding another."""
SIZE = (1500, 950)
PATIENCE_S = 600.0


def open_window(
    scan_path: str | Path | None = None,
    masks_path: str | Path | None = None,
    ask: str | None = None,
    encoder: str | None = None,
    sample: bool = False,
    series: str | int | None = None,
    screenshot: str | Path | None = None,
    saved: str | Path | None = None,
) -> napari.viewer.Viewer:
    """Open a napari window with the dock; files are read and encoded in the background.

    Parameters
    ----------
    scan_path, masks_path : path, optional
        Scan and organ masks to open. Bad ones become a notification, and the window stays open.
    ask : str, optional
        Question, answered as soon as the scan is encoded.
    encoder : str, optional
        Name or folder of the encoder; that of napari's preferences without.
    sample : bool
        Open the built-in synthetic scan (when no scan is given).
    series : str or int, optional
        Which series of a DICOM folder; without it the dock offers the choice where there are several.
    screenshot : path, optional
        Save a picture of the whole window once the answer is drawn, close the window, and only then return.

    saved : path, optional
        Saved session to restore instead of a scan.

    Returns
    -------
    napari.viewer.Viewer
        Start Qt's loop with ``napari.run()``, unless a screenshot was asked for.

    Raises
    ------
    UserError
        Without a display; with ``screenshot`` also what went wrong on the way to the picture.
    """
    check_display()
    share_arenas()  # before there are threads
    share_canvases()
    work_out_once()
    # importing torch and transformers holds the interpreter for a third of a second at a time: better now than later,
    # when there is a window to freeze
    import napari
    import numpy as np
    import transformers.models.auto.modeling_auto
    import transformers.models.bert.modeling_bert  # noqa: F401
    from napari.layers import Image, Labels

    import napari_ctvlp.encoder.native  # noqa: F401
    from napari_ctvlp._qt.main_widget import CtvlpWidget
    from napari_ctvlp._qt.own_context import keep_apart
    from napari_ctvlp._qt.preferences import preferred_encoder, prefers_side_views
    from napari_ctvlp._qt.runner import ThreadRunner
    from napari_ctvlp.session import Session

    for kind in (Image, Labels):  # units and tables of colours are made with the first layer, half a second
        kind(np.zeros((1, 1, 1), np.uint8), units=("mm",) * 3)
    viewer = napari.Viewer(title="CT query")
    viewer.window.resize(*SIZE)
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, encoder_name=encoder or preferred_encoder()))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name=DOCK_NAME, area="right")
    keep_apart(viewer, widget)
    if prefers_side_views():
        widget.views.set_shown(True)  # making canvases takes a second: better before there is anything to wait for
        widget.undo.clear()
    keep_out_of_collections()  # the window itself stays as long as the process, too
    failures: list[Exception] = []
    if screenshot is not None:  # an error holds all that it came through, open files and volumes
        widget.session.failed.connect(failures.append)
    if ask:
        widget.ask(ask)
    if saved is not None:
        widget.saving.restore_session(saved, step=False)
    else:
        _open(widget.session, scan_path, masks_path, sample, series)
    if screenshot is not None:
        try:
            with_masks = masks_path is not None or sample or saved is not None
            _wait_for_answer(widget, failures, with_masks=with_masks, with_answer=bool(widget.session.query))
            _save(viewer, Path(screenshot))
        finally:
            viewer.close()
    return viewer


def _open(
    session: Session,
    scan_path: str | Path | None,
    masks_path: str | Path | None,
    sample: bool,
    series: str | int | None,
) -> None:
    def then_masks() -> None:
        if masks_path is not None:
            open_masks(session, masks_path)

    if scan_path is not None:
        open_scan(session, scan_path, series, then_masks)
    elif sample:
        open_sample(session, then=then_masks)


def _wait_for_answer(widget: CtvlpWidget, failures: list[Exception], *, with_masks: bool, with_answer: bool) -> None:
    """Let Qt work until everything asked for is there."""
    from qtpy.QtCore import QDeadlineTimer, QEventLoop
    from qtpy.QtWidgets import QApplication

    session = widget.session
    offered: list[object] = []
    session.series_offered.connect(lambda path, found, then: offered.extend(found))

    def ready() -> bool:
        if session.activity is not None or session.scan is None:
            return False
        return not with_masks or (session.embedding is not None and (session.ranking is not None or not with_answer))

    deadline = QDeadlineTimer(int(1000 * PATIENCE_S))
    while not ready():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        if failures:
            error = failures[0]
            raise error if isinstance(error, UserError) else UserError(f"The window failed: {error}") from error
        if offered:
            raise UserError(f"The folder holds {len(offered)} series; choose one with --series N.")
        if session.activity is None and session.scan is not None and session.masks is None:
            return  # without masks there is nothing to encode and nothing to answer
        if deadline.hasExpired():
            raise UserError(f"No answer within {PATIENCE_S:.0f} seconds; no picture was made.")


def _save(viewer: napari.viewer.Viewer, path: Path) -> None:
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(500, loop.quit)  # the last recolouring and the status line are drawn in turns of the loop to come
    loop.exec()
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
