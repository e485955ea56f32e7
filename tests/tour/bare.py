"""What napari alone takes: one view, the sample's scan and organs, nothing of this plugin in the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

ROUNDS = 5


def measure(when: str) -> None:
    """Print the stall of each of a few actions in a bare viewer: what it does at once, and the picture after it."""
    import napari
    from napari.layers import Labels
    from qtpy.QtCore import QEventLoop, QTimer

    from napari_ctvlp.sample import load_sample

    from .watchdog import Watchdog

    def wait(milliseconds: int) -> None:
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    scan, masks = load_sample()
    place: dict[str, Any] = {"scale": scan.spacing, "axis_labels": ("I", "P", "L"), "units": ("mm",) * 3}
    viewer = napari.Viewer()
    viewer.window.resize(1500, 950)
    viewer.add_image(scan.hu, contrast_limits=(-160, 240), **place)
    organs = viewer.add_labels(masks.labels, **place)
    wait(1000)
    watchdog = Watchdog(noted_ms=0)
    times: dict[str, list[tuple[float, float]]] = {}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        watchdog.stalls.clear()
        watchdog.step = what
        yield
        wait(200)
        worst = max(watchdog.stalls, key=lambda stall: stall.wall_ms)
        times.setdefault(what, []).append((worst.wall_ms, worst.own_ms))

    def act(what: str, work: Callable[[], object]) -> None:
        with timed(what):
            work()

    for step in range(ROUNDS):
        more = Labels(masks.labels, **place)
        act("a scroll step", lambda step=step: viewer.dims.set_current_step(0, 40 + step))
        act("labels added", lambda more=more: viewer.add_layer(more))
        act("labels removed", lambda more=more: viewer.layers.remove(more))
        act("labels hidden", lambda: setattr(organs, "visible", False))
        act("labels shown", lambda: setattr(organs, "visible", True))
    watchdog.stop()
    viewer.close()
    told = (f"{what} {median(w for w, _ in ms):.0f} ({median(o for _, o in ms):.0f})" for what, ms in times.items())
    print(f"\nbare napari {when}, one view, stalls in ms (own ms), median of {ROUNDS}: {', '.join(told)}")
