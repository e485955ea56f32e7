"""What two more views cost: a scroll step, a recolouring, a map on or off, with the side views hidden and shown.

Run under a virtual screen: ``xvfb-run -a -s "-screen 0 1600x1000x24" python -m tests.benchmarks.bench_views``
"""

from __future__ import annotations

import time
from statistics import median

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.ask.locate import SimilarityMap
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.scan.types import Scan
from napari_ctvlp.session import Session
from tests.benchmarks.bench_query import Encoded, crowded_scan, made_up_embedding

ROUNDS = 20


def whole_map(scan: Scan) -> SimilarityMap:
    """A map of all of a scan, on every second voxel."""
    shape = tuple(-(-n // 2) for n in scan.hu.shape)
    values = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    return SimilarityMap("liver", "made up", ("liver",), values, (0, 0, 0), 2, 0.0, 1.0, ())


def main() -> None:
    """Measure and print."""
    encoder = load_encoder("starter")
    scan, masks = crowded_scan()
    viewer = napari.Viewer()
    viewer.window.resize(1500, 950)
    embedding = made_up_embedding(encoder, masks)
    encoder.encode_scan = lambda *args, **kwargs: embedding  # type: ignore[method-assign]
    widget = CtvlpWidget(viewer, Session(rooms=Encoded(encoder)))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    widget.session.set_scan(scan, masks)
    widget.session.ask("liver")
    widget.session._set_located(whole_map(scan))
    widget.views.set_shown(True)
    QApplication.processEvents()
    rng = np.random.default_rng(0)
    labels = list(masks.names)
    times: dict[tuple[str, bool], list[float]] = {}

    def note(what: str, shown: bool, start: float) -> None:
        times.setdefault((what, shown), []).append(1e3 * (time.thread_time() - start))

    for _ in range(ROUNDS):  # interleaved, so that load from elsewhere falls on both alike
        for shown in (False, True):
            widget.views.set_shown(shown)
            QApplication.processEvents()
            for _ in range(3):
                start = time.thread_time()
                viewer.dims.set_current_step(0, int(rng.integers(scan.hu.shape[0])))
                note("scroll step, API", shown, start)
                QApplication.processEvents()
                note("scroll step, drawn", shown, start)
            widget.overlay.show({int(rng.choice(labels)): 1.0, int(rng.choice(labels)): 0.7})
            start = time.thread_time()
            widget.overlay.flush()
            note("recolour, API", shown, start)
            QApplication.processEvents()
            note("recolour, drawn", shown, start)
            for _ in range(2):
                start = time.thread_time()
                widget.similarity.toggle()
                note("map on or off, API", shown, start)
                QApplication.processEvents()
                note("map on or off, drawn", shown, start)
    print(
        f"{scan.hu.shape} voxels, {len(labels)} organs, median of {ROUNDS} rounds, "
        "processor time of the window's thread: axial alone, all three, ratio"
    )
    for what in dict.fromkeys(what for what, _ in times):
        alone, three = median(times[what, False]), median(times[what, True])
        print(f"{what:<20}{alone:7.1f} ms {three:7.1f} ms   {three / alone:.2f}x")
    viewer.close()


if __name__ == "__main__":
    main()
