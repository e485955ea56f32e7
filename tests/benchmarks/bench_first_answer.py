"""A scan seen before, in the window: from "scan and masks are in memory" until answer and scores are on the screen.

Run under a virtual screen: ``xvfb-run -a -s "-screen 0 1600x1000x24" python -m tests.benchmarks.bench_first_answer``;
with 1, 2, 3 for a smaller scan than 600 x 460 x 532 voxels, and with ``bare`` for the window of a napari that somebody
else opened, where vispy works out everything anew.

A question stands in the line already. The side views hold back for the answer, or are hidden. Wall time is what a user
waits; "window" is processor time of the window's thread, and "all" of all threads, which other programs lengthen less.
"Drawn" is when the main canvas shows scan and masks.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from statistics import median

import napari
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.own_drawing import work_out_once
from napari_ctvlp.encoder.cache import EmbeddingCache
from tests.benchmarks.bench_locate import large_scan

ROUNDS = 5
QUESTION = "stone in the left kidney"


def main() -> None:
    """Measure and print."""
    bare, sizes = "bare" in sys.argv, [int(given) for given in sys.argv[1:] if given.isdigit()]
    if not bare:
        work_out_once()
    scan, masks = large_scan(*sizes or [4])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CTVLP_CACHE_DIR"] = folder
        viewer = napari.Viewer()
        viewer.window.resize(1500, 950)
        widget = CtvlpWidget(viewer)
        viewer.window.add_dock_widget(widget, name="CT query", area="right")
        session = widget.session
        while session.encoder is None or session.activity is not None:
            turn()
        EmbeddingCache().encode_scan(session.encoder, scan, masks)
        drawn: list[float] = []
        viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(
            lambda event: drawn.append(time.perf_counter()) if len(viewer.layers) > 1 else None, position="last"
        )
        times: dict[bool, list[tuple[float, ...]]] = {False: [], True: []}
        for number in range(ROUNDS + 1):
            for shown in times:
                viewer.layers.clear()
                widget.views.set_shown(shown)
                session.ask(QUESTION)
                until(time.perf_counter() + 0.7)
                opened = dataclasses.replace(scan), dataclasses.replace(masks)  # nothing is known of these objects
                drawn.clear()
                start = clocks()
                session.set_scan(*opened)
                while session.ranking is None or not session.scores:
                    turn()
                QApplication.processEvents()  # on the screen
                took = tuple(1e3 * (end - begin) for begin, end in zip(start, clocks(), strict=True))
                if number:  # the first opens much that stays
                    times[shown].append((*took, 1e3 * (drawn[0] - start[0])))
        print(f"{scan.hu.shape} voxels, {len(masks.names)} organs, {QUESTION!r}, median of {ROUNDS} rounds")
        for shown, all_times in times.items():
            wall, window, everything, seen = (median(values) for values in zip(*all_times, strict=True))
            views = "three views" if shown else "one view"
            told = f"{wall:6.0f} ms wall, drawn after {seen:.0f} ms, window {window:.0f} ms, all {everything:.0f} ms"
            print(f"{views:<12}{told}{', bare napari' * bare}", flush=True)
        viewer.close()


def clocks() -> tuple[float, float, float]:
    """Wall time, processor time of this thread and of all."""
    return time.perf_counter(), time.thread_time(), time.process_time()


def turn() -> None:
    """One turn of the event loop, which waits for something to happen."""
    QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def until(end: float) -> None:
    """Let the event loop run."""
    while time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
