"""Steps of the tour for the button that makes masks, with TotalSegmentator's stand-in behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from napari_ctvlp.segment.total import Progress
from tests.segment.conftest import StandIn
from tests.segment.test_segment import alive

from . import formats
from .driver import Driver
from .files_in import cleared
from .hands import choose, drop, heard, press, wait_to_hear

FULL, FAST = "All organs, full resolution", "All organs, fast"


def segmenter_missing(driver: Driver) -> None:
    """Neither the program nor, then, its weights: each a sentence with the command to get it."""
    second = _scan_alone(driver)
    button = second.widget.dock.scan.make_masks
    with _stand_in(driver) as stand_in, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTVLP_TOTALSEGMENTATOR", str(stand_in.log.parent / "TotalSegmentater"))
        with heard() as told:
            choose(second, button, FULL, picture="make_masks_menu")
            wait_to_hear(second, told, "CTVLP_TOTALSEGMENTATOR", "no program that can be run")
        second.picture("segmenter_missing")
    with _stand_in(driver) as stand_in, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOTALSEG_WEIGHTS_PATH", str(stand_in.log.parent))
        with heard() as told:
            choose(second, button, FAST)
            wait_to_hear(second, told, "weights", "totalseg_download_weights -t total_fast")
        second.picture("weights_missing")
    assert second.widget.session.masks is None and button.isVisible()


def segmenter_fails(driver: Driver) -> None:
    """It ends with an error: the last line of it, and the button is there again."""
    second = _scan_alone(driver)
    with _stand_in(driver) as stand_in, heard() as told:
        stand_in.ends("fails")
        choose(second, second.widget.dock.scan.make_masks, FULL)
        wait_to_hear(second, told, "TotalSegmentator", "no kernel image is available")
    assert not any("Traceback" in text for text in told)
    second.picture("segmenter_fails")
    assert second.widget.dock.scan.make_masks.isVisible()


def segmenter_cancelled(driver: Driver) -> None:
    """It hangs: how far it is can be read, and Cancel ends it with all that it started."""
    second = _scan_alone(driver)
    row = second.widget.dock.progress
    with _stand_in(driver) as stand_in:
        stand_in.ends("hangs")
        choose(second, second.widget.dock.scan.make_masks, FULL)
        # its own process and two more; the lines that it printed before may still be on their way
        second.wait_for(lambda: len(stand_in.lines) == 3 and row.bar.value() == round(100 * Progress.AFTER))
        second.picture("making_masks")
        press(second, row.cancel)
        second.wait_for(lambda: not any(alive(line["pid"]) for line in stand_in.lines))
        second.idle()
    assert second.widget.session.masks is None and not row.cancel.isVisible()
    second.picture("making_masks_cancelled")


def segmented(driver: Driver) -> None:
    """It works: masks, named and encoded, from one click; the question that was open is answered."""
    second = _scan_alone(driver)
    second.ask("liver")
    with _stand_in(driver) as stand_in:
        choose(second, second.widget.dock.scan.make_masks, FAST)
        session = second.widget.session
        second.wait_for(lambda: session.ranking is not None)
        second.idle()
        assert stand_in.calls[0]["fast"] and session.masks.scheme == "TotalSegmentator, fast model"
    second.picture("masks_made")


def _scan_alone(driver: Driver) -> Driver:
    """The second window with the scan and no masks."""
    second = driver.second
    if second.widget.session.scan is None or second.widget.session.masks is not None:
        second = cleared(driver)
        drop(second, second.widget.dock, formats.pair(driver)[0])
        second.wait_for(lambda: second.widget.session.scan is not None)
        second.idle()
    return second


@contextmanager
def _stand_in(driver: Driver) -> Iterator[StandIn]:
    """The stand-in in the place of the program, and no masks kept of an earlier run."""
    folder = driver.files / f"stand_in_{len(list(driver.files.glob('stand_in_*')))}"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTVLP_CACHE_DIR", str(folder / "cache"))
        patch.delenv("STANDIN", raising=False)
        yield StandIn(folder, patch)
    assert "STANDIN_LOG" not in os.environ
