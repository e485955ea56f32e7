"""From a scan without masks to masks, by a stand-in for TotalSegmentator that works, fails, hangs or is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from napari_ctvlp.cli import main
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder
from napari_ctvlp.opening import make_masks
from napari_ctvlp.segment import SegmentationCancelled, segment_scan
from napari_ctvlp.segment.guard import guarded, watch
from napari_ctvlp.segment.total import Progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a shebang")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("fast", [False, True])
def test_masks_come_back_on_the_grid_of_the_scan(scan, standin, fast):
    told: list[float] = []
    masks = segment_scan(scan, fast=fast, device="cpu", progress=told.append)
    assert set(masks.names.values()) == {"liver", "heart"}
    number = {name: label for label, name in masks.names.items()}
    np.testing.assert_array_equal(masks.labels == number["heart"], scan.hu > 500)
    assert masks.scheme == ("TotalSegmentator, fast model" if fast else "TotalSegmentator")
    (call,) = standin.calls
    assert (call["fast"], call["device"], call["ml"]) == (fast, "cpu", True)
    assert call["weights"] == str(standin.weights) and call["send_usage_stats"] is False
    assert told == sorted(told) and told[-1] == 1.0
    assert len(told) > (4 if fast else 12)  # it moved on the way


def test_progress_of_five_parts_only_grows():
    told: list[float] = []
    progress = Progress(told.append)
    lines = ["Resampling...", "  Resampled in 3.15s"]
    for part in range(1, 6):
        lines += [
            f"Predicting part {part} of 5 ...",
            "  0%|          | 0/8",
            " 50%|#####     | 4/8",
            "100%|##########| 8/8",
        ]
    for line in [*lines, "Resampling...", "Saving segmentations...", "99%|## nonsense", "12% done"]:
        progress.line(line)
    assert told == sorted(set(told)) and told[-1] == Progress.AFTER
    assert any(abs(value - (0.08 + 0.84 * 0.5)) < 1e-9 for value in told)  # the middle of the third part


def test_a_scan_seen_before_is_not_segmented_again(scan, standin):
    first = segment_scan(scan, fast=True, device="cpu")
    standin.ends("fails")
    again = segment_scan(scan, fast=True, device="cpu")
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.names == again.names and len(standin.calls) == 1
    with pytest.raises(UserError):
        segment_scan(scan, device="cpu")  # the full model is another question


def test_a_damaged_copy_is_made_again(scan, standin):
    segment_scan(scan, fast=True, device="cpu")
    (kept,) = cache_folder("masks").iterdir()
    kept.write_bytes(kept.read_bytes()[:40])
    assert set(segment_scan(scan, fast=True, device="cpu").names.values()) == {"liver", "heart"}
    assert len(standin.calls) == 2


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("fails", r'failed \(exit status 1\): "RuntimeError: no kernel image is available"'),
        ("gpu_memory", "the GPU has too little memory"),
        ("is_killed", "was killed, most likely for want of memory"),
        ("writes_nothing", "wrote no masks"),
    ],
)
def test_a_failure_is_one_sentence(scan, standin, how, words):
    standin.ends(how)
    with pytest.raises(UserError, match=words) as error:
        segment_scan(scan, device="cpu")
    assert "\n" not in str(error.value) and "Traceback" not in str(error.value)
    standin.ends("works")
    assert segment_scan(scan, device="cpu").names  # nothing of the failure was kept


def test_another_ending_of_the_file_is_found(scan, standin):
    standin.ends("other_ending")
    assert set(segment_scan(scan, device="cpu").names.values()) == {"liver", "heart"}


def test_cancelling_kills_the_whole_tree(scan, standin):
    standin.ends("hangs")
    stop = threading.Event()

    def cancelled() -> bool:
        if len(standin.lines) == 3:  # itself and two children are up
            stop.set()
        return stop.is_set()

    with pytest.raises(SegmentationCancelled):
        segment_scan(scan, device="cpu", cancelled=cancelled)
    pids = [line["pid"] for line in standin.lines]
    assert len(pids) == 3 and not any(alive(pid) for pid in pids)


def test_silence_is_not_waited_for_for_ever(scan, standin):
    standin.ends("hangs")
    with pytest.raises(UserError, match="no sign of life"):
        segment_scan(scan, device="cpu", silence_s=1.0)
    assert not any(alive(line["pid"]) for line in standin.lines)


def test_no_program_left_when_the_caller_is_interrupted(scan, standin):
    standin.ends("hangs")

    def interrupt() -> bool:
        if len(standin.lines) == 3:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        segment_scan(scan, device="cpu", cancelled=interrupt)
    assert not any(alive(line["pid"]) for line in standin.lines)


def test_what_is_missing_is_told_with_its_command(scan, standin, monkeypatch, tmp_path):
    (standin.weights / "Dataset293_TotalSegmentator_x").rmdir()
    with pytest.raises(UserError, match=r"weights .* totalseg_download_weights -t total\.$"):
        segment_scan(scan)
    (standin.weights / "Dataset297_TotalSegmentator_x").rmdir()
    with pytest.raises(UserError, match=r"weights .* totalseg_download_weights -t total_fast\.$"):
        segment_scan(scan, fast=True)
    monkeypatch.setenv("CTVLP_TOTALSEGMENTATOR", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="no program that can be run"):
        segment_scan(scan)
    monkeypatch.delenv("CTVLP_TOTALSEGMENTATOR")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UserError, match=r"not installed; install it with pip install .*segment"):
        segment_scan(scan)
    assert not standin.calls


def test_headless(scan, standin, tmp_path, capsys):
    main(["segment", str(tmp_path / "ct.nii.gz"), "--fast", "--out", str(tmp_path / "organs.nii.gz")])
    assert "2 organs" in capsys.readouterr().out
    main(["stats", str(tmp_path / "ct.nii.gz"), "--masks", str(tmp_path / "organs.nii.gz")])
    assert "liver" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_nothing_is_left_when_the_command_is_told_to_end(scan, standin, tmp_path, monkeypatch, name):
    number = getattr(signal, name)
    standin.ends("hangs")
    own = tmp_path / "temporary"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    given = [str(tmp_path / "ct.nii.gz"), "--device", "cpu", "--out", str(tmp_path / "organs.nii.gz")]
    # who runs the tests in the background may have them ignore Ctrl+C, which a child would inherit
    command = subprocess.Popen(
        [sys.executable, "-m", "napari_ctvlp.cli", "segment", *given],
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while len(standin.lines) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [place.name[:14] for place in own.iterdir()] == ["ctvlp-segment-"]
    command.send_signal(number)
    assert command.wait(timeout=60) == 128 + number
    assert len(standin.lines) == 3 and not any(alive(line["pid"]) for line in standin.lines)
    assert not list(own.iterdir()) and not (tmp_path / "organs.nii.gz").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_nothing_is_left_when_the_process_is_killed(scan, standin, tmp_path, monkeypatch):
    """As somebody else's napari is by SIGTERM, which ends Python at once, and as any is for want of memory."""
    standin.ends("hangs")
    own = tmp_path / "temporary"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    given = [str(tmp_path / "ct.nii.gz"), "--device", "cpu", "--out", str(tmp_path / "organs.nii.gz")]
    command = subprocess.Popen([sys.executable, "-m", "napari_ctvlp.cli", "segment", *given])
    deadline = time.monotonic() + 120
    while len(standin.lines) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [place.name[:14] for place in own.iterdir()] == ["ctvlp-segment-"]
    command.kill()
    command.wait(timeout=60)
    deadline = time.monotonic() + 60
    while (list(own.iterdir()) or any(alive(line["pid"]) for line in standin.lines)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(standin.lines) == 3 and not any(alive(line["pid"]) for line in standin.lines)
    assert not list(own.iterdir())


def test_the_guard_ends_with_what_it_guards(tmp_path):
    before = {child.pid for child in psutil.Process().children()}
    with guarded(tmp_path) as started:
        started(os.getpid())
        (guard,) = (child for child in psutil.Process().children() if child.pid not in before)
        assert guard.is_running()
    assert not guard.is_running() and tmp_path.exists()


def test_without_a_guard_all_works(scan, standin, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    assert set(segment_scan(scan, device="cpu").names.values()) == {"liver", "heart"}


def test_what_a_program_leaves_that_ended_first_is_ended(tmp_path, monkeypatch):
    waits = "print(1, flush=True); import time; time.sleep(600)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {waits!r}])"
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert program.stdout is not None and program.stdout.readline() == b"1\n"
    (left,) = psutil.Process(program.pid).children()

    def told():
        yield f"{program.pid}\n"
        program.kill()
        program.wait()
        assert alive(left.pid)

    monkeypatch.setattr(sys, "stdin", told())
    folder = tmp_path / "folder"
    folder.mkdir()
    watch(folder)
    psutil.wait_procs([left], timeout=10)
    program.stdout.close()
    assert not alive(left.pid) and not folder.exists()


@pytest.mark.parametrize(
    ("out", "words"),
    [("organs.png", ".nii or .nii.gz"), ("no/organs.nii.gz", "No such file"), ("folder.nii", "Is a directory")],
)
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(scan, standin, tmp_path, capsys, out, words):
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["segment", str(tmp_path / "ct.nii.gz"), "--out", str(tmp_path / out)])
    assert ended.value.code == 2 and words in capsys.readouterr().err
    assert not standin.calls


def test_the_session_segments_and_encodes(scan, standin, word_encoder):
    from napari_ctvlp.session import Rooms, Session

    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(rooms=rooms)
    seen = []
    session.activity_changed.connect(seen.append)
    session.set_scan(scan)
    make_masks(session, fast=True)
    assert session.embedding is not None and set(session.masks.names.values()) == {"liver", "heart"}
    busy = [a for a in seen if a is not None and a.task.value == "making organ masks"]
    assert busy and all(a.can_cancel for a in busy) and any(a.fraction for a in busy)


def test_cancel_in_the_session_leaves_no_process(scan, standin, word_encoder):
    from napari_ctvlp.session import Rooms, Session

    threads = []

    def runner(work, *, progress, done, failed):
        def run():
            try:
                done(work(progress))
            except Exception as error:
                failed(error)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    standin.ends("hangs")
    session = Session(runner, Rooms())
    failures = []
    session.failed.connect(failures.append)
    session.set_scan(scan)
    make_masks(session)
    deadline = time.monotonic() + 60
    while len(standin.lines) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    session.cancel()
    threads[-1].join(30)
    assert session.activity is None and session.masks is None and not failures
    assert len(standin.lines) == 3 and not any(alive(line["pid"]) for line in standin.lines)
