"""Run: ``python -m tests.tour`` (on the sample, and on a real scan where the test data is); see ``--help``.

On a machine that does other work the wall times of stalls say little; the times of the window's own thread do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .watchdog import Stall

TARGET_MS = 100.0
WORST = 10
EXEMPT = ("open_scan", "empty_window", "reopened", "body", "light_theme")
"""Steps whose stalls are not counted: a window or dock being opened, the first 3D, all of Qt restyled by napari."""


def main() -> int:
    """Tour and print the worst stalls; with ``--strict`` 1 where one outside of the exempt steps exceeds the target."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tour", description="A picture a step, and the longest stalls of the event loop."
    )
    parser.add_argument("--out", type=Path, default=Path("demo/tour"), help="where pictures go")
    parser.add_argument("--scan", type=Path, help="a scan of your own, with --masks")
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--only", choices=("sample", "real"), help="one of the two tours")
    parser.add_argument("--steps", nargs="+", help="these steps alone, after the scan was opened")
    parser.add_argument("--worst", type=int, default=WORST, help="how many of the longest stalls are printed")
    parser.add_argument(
        "--strict", action="store_true", help="fail where the window stalled for longer than the target"
    )
    args = parser.parse_args()
    if not os.environ.get("DISPLAY") and sys.platform.startswith("linux"):
        if shutil.which("xvfb-run") is None:
            print("No screen and no xvfb-run: install xvfb.")
            return 2
        screen = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]
        os.execvp(screen[0], [*screen, sys.executable, "-m", "tests.tour", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="ctvlp-tour-") as folder:
        os.environ["CTVLP_CONFIG_DIR"] = folder  # the tour edits the dictionary
        return tours(args)


def tours(args: argparse.Namespace) -> int:
    """The tours that were asked for."""
    from .bare import measure

    if not args.steps:
        measure("before the tour")
    worst = 0.0
    if args.scan is None and args.only != "real":
        worst = max(worst, tour("sample", args.out / "sample", None, None, args.steps, args.worst))
    scan, masks = args.scan, args.masks
    if scan is None and args.only != "sample":
        from tests.conftest import SHARED

        folder = SHARED / "ct" / "ts_abdomen"
        if folder.is_dir():
            scan, masks = folder / "ct.nii.gz", folder / "seg_v2_multilabel.nii.gz"
        else:
            print("No real scan (set CTVLP_TEST_DATA): toured the sample alone.")
    if scan is not None:
        worst = max(worst, tour("real", args.out / "real", scan, masks, args.steps, args.worst))
    if not args.steps:
        measure("after it, with the encoder's libraries loaded")
    return int(args.strict and worst > TARGET_MS)


def tour(
    name: str,
    folder: Path,
    scan: Path | None,
    masks: Path | None,
    only: Sequence[str] | None = None,
    worst: int = WORST,
) -> float:
    """One tour; the longest stall in ms that counts."""
    from napari_ctvlp._qt.launch import DOCK_NAME, open_window

    from .driver import Driver
    from .plan import plan
    from .watchdog import Watchdog

    steps = plan(only)
    viewer = open_window(scan, masks, sample=scan is None)
    watchdog = Watchdog()
    driver = Driver(viewer, viewer.window.dock_widgets[DOCK_NAME], watchdog, folder)
    driver.clear()
    try:
        for step, work in steps.items():
            watchdog.step = step
            work(driver)
            driver.wait(100)
    finally:
        watchdog.stop()
        driver.close_second()
        viewer.close()
    return report(name, folder, watchdog.stalls, worst)


def report(name: str, folder: Path, stalls: Sequence[Stall], worst: int = WORST) -> float:
    """Print what stalled; the longest stall in ms that counts."""
    stalls = sorted(stalls, key=lambda stall: -stall.wall_ms)
    counted = [stall for stall in stalls if stall.step not in EXEMPT]
    print(f"\n{name}: pictures in {folder}; worst {worst} stalls of the event loop")
    print("  wall ms, own ms (processor time of the window's thread), share of that under code of ours")
    for stall in stalls[:worst]:
        show(stall, " " if stall.step in EXEMPT or stall.wall_ms <= TARGET_MS else "!")
    over = [stall for stall in counted if stall.wall_ms > TARGET_MS]
    busy = [stall for stall in counted if stall.own_ms > TARGET_MS]
    print(
        f"{len(over)} over {TARGET_MS:.0f} ms outside of {', '.join(EXEMPT)}; {len(busy)} by own ms, "
        f"{sum(stall.ours < 0.5 for stall in busy)} of them mostly without code of ours"
    )
    for stall in sorted(counted, key=lambda stall: -stall.own_ms)[:worst]:
        show(stall)
    return max((stall.wall_ms for stall in counted), default=0.0)


def show(stall: Stall, mark: str = " ") -> None:
    """Print one stall."""
    print(f"{mark} {stall.wall_ms:6.0f} {stall.own_ms:6.0f} {100 * stall.ours:4.0f} %  {stall.step:<15} {stall.where}")


if __name__ == "__main__":
    sys.exit(main())
