"""Threads: answers come home, late ones do not, nothing is left running."""

from __future__ import annotations

import gc
import threading

import pytest
from qtpy.QtCore import QThread, QTimer
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.runner import ThreadRunner


def our_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ctvlp")]


@pytest.fixture
def runner(qapp, qtbot):
    runner = ThreadRunner()
    yield runner
    runner.close()
    qtbot.waitUntil(lambda: not our_threads())


def test_work_runs_elsewhere_and_answers_come_home(runner, qtbot):
    home, seen, answers = threading.current_thread(), [], []

    def work(report):
        seen.append(threading.current_thread())
        report(0.5)
        return 42

    here = []
    runner(
        work,
        progress=lambda fraction: here.append((fraction, threading.current_thread())),
        done=lambda result: answers.append((result, QThread.currentThread())),
        failed=answers.append,
    )
    qtbot.waitUntil(lambda: bool(answers))
    assert seen[0] is not home
    assert here == [(0.5, home)]
    assert answers == [(42, QApplication.instance().thread())]


def test_errors_come_home(runner, qtbot):
    errors = []

    def work(_report):
        raise ValueError("no")

    runner(work, progress=errors.append, done=errors.append, failed=errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert isinstance(errors[0], ValueError)


def test_answers_that_arrive_together_come_one_a_turn_of_the_event_loop(runner, qtbot):
    gate, turns, answers = threading.Event(), [], []
    ticks = QTimer()
    ticks.timeout.connect(lambda: turns.append(len(answers)))
    for number in range(3):
        runner(
            lambda _report, n=number: gate.wait(10) and n, progress=print, done=answers.append, failed=answers.append
        )
    gate.set()
    runner._pool.shutdown()  # all have ended, and nobody was told yet
    assert not answers
    ticks.start(0)
    qtbot.waitUntil(lambda: len(answers) == 3)
    ticks.stop()
    assert {1, 2} <= set(turns)


def test_closed_runner_is_silent_and_its_threads_end(qapp, qtbot):
    runner, go_on, told = ThreadRunner(), threading.Event(), []
    runner(lambda _report: go_on.wait(10), progress=told.append, done=told.append, failed=told.append)
    qtbot.waitUntil(lambda: bool(our_threads()))
    runner.close()
    go_on.set()
    runner(lambda _report: 1, progress=told.append, done=told.append, failed=told.append)
    qtbot.waitUntil(lambda: not our_threads())
    qtbot.wait(20)
    assert told == []


class Left:
    """What a window leaves behind: a cycle that tells where it was collected."""

    def __init__(self, told):
        self.told, self.own = told, self

    def __del__(self):
        self.told.append(threading.current_thread())


def test_what_the_window_leaves_behind_is_collected_in_its_own_thread(runner, qtbot):
    told, began, done = [], threading.Event(), []

    def work(_report):
        began.wait(10)
        return [[n] for n in range(200_000)]  # enough to collect by itself many times

    gc.collect()
    runner(work, progress=done.append, done=done.append, failed=done.append)
    runner(lambda _report: began.wait(10), progress=done.append, done=done.append, failed=done.append)
    Left(told)
    began.set()
    qtbot.waitUntil(lambda: len(done) == 2, timeout=20_000)
    qtbot.waitUntil(gc.isenabled)
    gc.collect()
    assert told == [threading.current_thread()]


def test_what_is_new_is_collected_while_work_goes_on(runner, qtbot):
    told, go_on, done = [], threading.Event(), []
    runner(lambda _report: go_on.wait(30), progress=done.append, done=done.append, failed=done.append)
    qtbot.waitUntil(lambda: not gc.isenabled())
    Left(told)
    kept = [[n] for n in range(2_000)]
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    go_on.set()
    qtbot.waitUntil(lambda: bool(done))
    assert told == [threading.current_thread()] and kept
