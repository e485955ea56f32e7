"""A window that is told to end while it makes masks: TotalSegmentator's stand-in goes with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.segment.conftest import scan, standin  # noqa: F401  (fixtures)
from tests.segment.test_segment import alive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a shebang"),
    pytest.mark.usefixtures("qapp"),  # the window needs the screen that pytest-xvfb starts
]

WINDOW = """
import signal, sys
from qtpy.QtCore import QTimer
import napari_ctvlp._qt.launch as launch
from napari_ctvlp.cli import main

opened = launch.open_window

def open_window(*args, **options):
    viewer = opened(*args, **options)
    widget = viewer.window.dock_widgets[launch.DOCK_NAME]
    def make():
        if widget.session.scan is not None and widget.session.activity is None:
            timer.stop()
            widget.dock.scan.make_masks.menu().actions()[0].trigger()
    timer = open_window.timer = QTimer()
    timer.timeout.connect(make)
    timer.start(20)
    return viewer

launch.open_window = open_window
main(sys.argv[1:])
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_nothing_that_the_window_started_is_left(standin, scan, tmp_path, monkeypatch, name):  # noqa: F811
    number = getattr(signal, name)
    standin.ends("hangs")
    own = tmp_path / "temporary"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    window = subprocess.Popen(
        [sys.executable, "-c", WINDOW, str(tmp_path / "ct.nii.gz")],
        # who runs the tests in the background may have them ignore Ctrl+C, which a child would inherit
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 200
        while len(standin.lines) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(standin.lines) == 3 and any(place.name.startswith("ctvlp-segment-") for place in own.iterdir())
        window.send_signal(number)
        _, told = window.communicate(timeout=60)
        assert window.returncode == 128 + number and b"Traceback" not in told
        assert not any(alive(line["pid"]) for line in standin.lines)
        assert not [place for place in own.iterdir() if place.name.startswith("ctvlp-segment-")]
    finally:
        window.kill()
        for line in standin.lines:
            if alive(line["pid"]):
                subprocess.run(["kill", "-9", str(line["pid"])], check=False)
