"""What becomes of signals while a command runs."""

from __future__ import annotations

import os
import signal

import pytest

from napari_ctvlp.ending import ends_in_order

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


def test_what_is_ignored_stays_so_and_all_is_as_before_afterwards():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ends_in_order():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_clearing_up_is_not_interrupted_by_a_second_signal():
    cleared = []
    with pytest.raises(SystemExit) as ended, ends_in_order():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleared.append(True)
    assert cleared and ended.value.code == 128 + signal.SIGTERM
