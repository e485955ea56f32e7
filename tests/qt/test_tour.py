"""The scripted tour, and the watchdog that times it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from qtpy.QtCore import QTimer

from tests.tour.watchdog import Watchdog


def busy_for(seconds):
    """Hold the event loop."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@pytest.fixture
def watchdog(qapp):
    watchdog = Watchdog()
    yield watchdog
    watchdog.stop()


def test_a_stall_is_seen_with_its_step_and_place(watchdog, qtbot):
    watchdog.step = "held"
    QTimer.singleShot(20, lambda: busy_for(0.3))
    qtbot.wait(450)
    longest = max(watchdog.stalls, key=lambda stall: stall.wall_ms)
    assert longest.step == "held"
    assert longest.wall_ms > 250
    assert 0 < longest.own_ms <= longest.wall_ms + 5
    assert "busy_for" in longest.where


def test_what_is_paused_is_not_counted(watchdog, qtbot):
    qtbot.wait(20)
    with watchdog.paused():
        busy_for(0.3)
    qtbot.wait(30)
    assert all(stall.wall_ms < 250 for stall in watchdog.stalls)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_tour_of_the_sample_ends_well_with_its_pictures(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.tour", "--only", "sample", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=2900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "worst 10 stalls" in done.stdout
    assert len(list((tmp_path / "sample").glob("*.png"))) >= 60
    assert (tmp_path / "sample" / "files" / "organs.csv").exists()
