"""Downloads: whole or not at all, with the user's yes, against a hub on loopback that fails in every way."""

from __future__ import annotations

import errno
import io
import json
import pickle
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ctvlp.cli import main
from napari_ctvlp.doctor import examine
from napari_ctvlp.encoder import download as room
from napari_ctvlp.encoder import install, list_encoders, list_entries, load_encoder
from napari_ctvlp.encoder.download import DownloadCancelled, download
from napari_ctvlp.encoder.install import fetch, offer, supply
from napari_ctvlp.encoder.registry import MARK, PLACE, SHIPPED, RemoteFile
from napari_ctvlp.errors import UserError
from tests.encoder.hub import Hub, running_hub
from tests.encoder.published.states import fvlm_state, merlin_state, write_bytes_vocabulary, write_vocabulary

BIG = np.random.default_rng(0).bytes(3_000_000)
FILE = RemoteFile("org/repo", "big.bin", "big.bin", 3.0)


@pytest.fixture
def hub() -> Hub:
    with running_hub() as running:
        running.files = {"org/repo/big.bin": BIG, "org/repo/small.json": b"{}"}
        yield running


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(PLACE, str(tmp_path / "encoders"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(room, "TIMEOUT", 10.0)
    return tmp_path / "encoders"


# -- one file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "data"), [("big.bin", BIG), ("small.json", b"{}")])
def test_a_file_comes_whole_with_progress(hub, tmp_path, name, data):
    seen = []
    target = tmp_path / "deep" / name
    download(replace(FILE, path=name), target, progress=lambda a, b: seen.append((a, b)), endpoint=hub.endpoint)
    assert target.read_bytes() == data
    assert seen == sorted(seen) and seen[-1] == (len(data), len(data))
    assert [p.name for p in target.parent.iterdir()] == [name]


def test_a_transfer_that_breaks_off_is_taken_up_where_it_ended(hub, tmp_path):
    hub.breaks = [1_000_000, 500_000]
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == BIG
    assert [r for _, r in hub.asked] == [None, "bytes=1000000-", "bytes=1500000-"]


def test_one_that_breaks_off_again_and_again_is_told_and_kept(hub, tmp_path):
    hub.breaks = [400_000] * 3
    with pytest.raises(UserError, match=r"broke off at 1\.2 of 3\.0 MB"):
        download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert not (tmp_path / "f").exists()
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == BIG and hub.asked[-1][1] == "bytes=1200000-"


def test_a_hub_that_cannot_resume_sends_all_again(hub, tmp_path):
    hub.breaks, hub.resumes = [1_000_000], False
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == BIG


def test_a_file_that_changed_on_the_hub_is_begun_anew(hub, tmp_path):
    hub.breaks = [400_000] * 3
    with pytest.raises(UserError):
        download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    hub.files["org/repo/big.bin"] = other = BIG[::-1]
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == other and hub.asked[-1][1] is None


@pytest.mark.parametrize("known", [False, True])
def test_a_wrong_checksum_leaves_nothing(hub, tmp_path, known):
    """Whether the hub's own word is broken, or what we know of the file beforehand."""
    hub.wrong_digest = not known
    file = replace(FILE, sha256="1" * 64) if known else FILE
    with pytest.raises(UserError, match="came damaged"):
        download(file, tmp_path / "f", endpoint=hub.endpoint)
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path):
    with running_hub() as gone:
        endpoint = gone.endpoint
    with pytest.raises(UserError, match="cannot be reached") as caught:
        download(FILE, tmp_path / "f", endpoint=endpoint)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_hub_that_refuses(hub, tmp_path, status):
    hub.status = status
    with pytest.raises(UserError, match=r"org/repo"):
        download(FILE, tmp_path / "f", endpoint=hub.endpoint)


def test_a_full_disk_is_told_beforehand(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(UserError, match=r"too full.*3 MB are needed"):
        download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert hub.asked == []


def test_a_disk_that_becomes_full_keeps_what_came(hub, tmp_path, monkeypatch):
    class Full(io.BufferedWriter):
        def write(self, data):
            if self.tell() >= 2 * room.CHUNK:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    plain = Path.open

    def full(self, mode="r", *args, **kwargs):
        return Full(io.FileIO(self, mode[0])) if self.suffix == ".part" and "r" not in mode else plain(self, mode)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(UserError, match="became full"):
            download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert not (tmp_path / "f").exists() and (tmp_path / "f.part").stat().st_size > 0
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == BIG and hub.asked[-1][1] is not None


def test_a_folder_that_cannot_be_written(hub, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        download(FILE, tmp_path / "file" / "f", endpoint=hub.endpoint)


def test_a_cancelled_download_ends_at_once_and_goes_on_later(hub, tmp_path):
    """The hub holds the second half back: cancelling does not wait for it beyond the part under way."""
    hub.files["org/repo/big.bin"] = BIG * 3
    stop = threading.Event()

    def progress(have: int, _size: int) -> None:
        if have >= 2_000_000:
            stop.set()

    with pytest.raises(DownloadCancelled):
        download(FILE, tmp_path / "f", progress=progress, cancelled=stop.is_set, endpoint=hub.endpoint)
    kept = (tmp_path / "f.part").stat().st_size
    assert 2_000_000 <= kept < 4_000_000 and not (tmp_path / "f").exists()
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == BIG * 3 and hub.asked[-1][1] == f"bytes={kept}-"


def test_one_that_is_begun_anew_while_the_cancelled_one_still_reads(hub, tmp_path):
    """The first stands in the middle of a part when it is cancelled; the second must not meet what that one writes."""
    hub.slow.clear()
    stop, ended, answers = threading.Event(), [], []

    def cancelled() -> bool:
        answers.append(stop.is_set())
        return answers[-1]

    def first() -> None:
        try:
            download(FILE, tmp_path / "f", cancelled=cancelled, endpoint=hub.endpoint)
        except DownloadCancelled:
            ended.append("cancelled")

    def second() -> None:
        ended.append(download(FILE, tmp_path / "f", endpoint=hub.endpoint))

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert soon(lambda: len(answers) == 3)  # the first part is written, the hub holds the second one back
    stop.set()
    threads[1].start()
    assert not soon(lambda: len(hub.asked) > 1, 0.5)  # it waits for the other one to let go
    hub.slow.set()
    for thread in threads:
        thread.join(15)
    assert ended[0] == "cancelled" and len(ended) == 2
    assert (tmp_path / "f").read_bytes() == BIG and [p.name for p in tmp_path.iterdir()] == ["f"]


def test_one_that_waits_can_be_cancelled_and_does_not_bring_it_twice(hub, tmp_path):
    hub.slow.clear()
    first = threading.Thread(target=download, args=(FILE, tmp_path / "f"), kwargs={"endpoint": hub.endpoint})
    first.start()
    assert soon(lambda: len(hub.asked) == 1)
    with pytest.raises(DownloadCancelled):
        download(FILE, tmp_path / "f", cancelled=lambda: True, endpoint=hub.endpoint)
    threading.Timer(0.3, hub.slow.set).start()
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    first.join(15)
    assert len(hub.asked) == 1 and (tmp_path / "f").read_bytes() == BIG


def test_another_process_that_downloads_is_told(hub, tmp_path):
    code = (
        "import sys; from pathlib import Path; from napari_ctvlp.encoder.file_lock import owning\n"
        "with owning(Path(sys.argv[1]), lambda: None):\n    print('mine', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "f")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(UserError, match="another process"):
            download(FILE, tmp_path / "f", endpoint=hub.endpoint)
        other.stdin.close()
        other.wait(10)
    download(FILE, tmp_path / "f", endpoint=hub.endpoint)
    assert (tmp_path / "f").read_bytes() == BIG


def soon(true, seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# -- an encoder ---------------------------------------------------------------------------------------------------


@pytest.fixture
def published(hub, tmp_path) -> Hub:
    """Merlin and the vocabulary of CXR-BERT on the hub, with random weights."""
    import torch

    files = {f.name: f for f in list_entries()["merlin"].files}
    torch.save(merlin_state(), tmp_path / "weights.pt")
    write_bytes_vocabulary(tmp_path)
    for name, source in (("merlin.pt", "weights.pt"), ("vocab.json", "vocab.json"), ("merges.txt", "merges.txt")):
        hub.files[f"{files[name].repo}/{files[name].path}"] = (tmp_path / source).read_bytes()
    words = list_entries()["fvlm"].files[0]
    hub.files[f"{words.repo}/{words.path}"] = write_vocabulary(tmp_path).read_bytes()
    return hub


def test_nothing_is_downloaded_without_a_yes(published, place):
    what = offer("merlin")
    assert "MIT" in str(what) and "GB" not in str(what) and "3 file(s)" in str(what) and str(place) in str(what)
    with pytest.raises(UserError, match="yes"):
        fetch(what, agreed=False, endpoint=published.endpoint)
    assert published.asked == [] and not place.exists()
    assert "about 1,085 MB" in str(what) and "1 file(s), less than 1 MB" in str(offer("fvlm"))


def test_an_encoder_is_installed_and_loads(published, place):
    seen = []
    fetch(offer("merlin"), agreed=True, progress=seen.append, endpoint=published.endpoint)
    assert seen == sorted(seen) and seen[-1] == 1
    assert not list_entries()["merlin"].missing() and offer("merlin").files == ()
    said = json.loads((place / "merlin" / MARK).read_text())
    assert said["adapter"] == "merlin" and "MIT" in said["terms"] and len(said["files"]["merlin.pt"]) == 64
    assert load_encoder("merlin", device="cpu").card.name == "merlin"
    assert list_entries()["merlin"].size_mb > 0


def test_a_malicious_pickle_from_the_hub_does_not_run(published, place, tmp_path):
    marker = tmp_path / "owned"

    class Malicious:
        def __reduce__(self):
            return (type(tmp_path).touch, (marker,))

    file = next(f for f in list_entries()["merlin"].files if f.name == "merlin.pt")
    published.files[f"{file.repo}/{file.path}"] = pickle.dumps({"model": Malicious()}, protocol=2)
    fetch(offer("merlin"), agreed=True, endpoint=published.endpoint)
    with pytest.raises(UserError, match=r"merlin\.pt") as caught:
        load_encoder("merlin")
    assert "napari-ctvlp install merlin" in str(caught.value) and "--unpickle" not in str(caught.value)
    assert not marker.exists()


def test_a_second_try_brings_only_what_is_missing(published):
    words = next(k for k in published.files if k.endswith("merges.txt"))
    kept = published.files.pop(words)
    with pytest.raises(UserError, match=r"merges\.txt"):
        fetch(offer("merlin"), agreed=True, endpoint=published.endpoint)
    assert len(list_entries()["merlin"].missing()) == 1
    published.files[words] = kept
    published.asked.clear()
    fetch(offer("merlin"), agreed=True, endpoint=published.endpoint)
    assert len(published.asked) == 1


def test_a_checkpoint_of_the_user_is_taken_over(published, tmp_path, place):
    import torch

    torch.save({"model": fvlm_state(), "epoch": 1}, tmp_path / "mine.pth")
    supply("fvlm", tmp_path / "mine.pth")
    fetch(offer("fvlm"), agreed=True, endpoint=published.endpoint)
    assert sorted(p.name for p in (place / "fvlm").iterdir()) == [MARK, "model.safetensors", "vocab.txt"]
    assert load_encoder("fvlm", device="cpu").card.name == "fvlm"
    for name, path in (("merlin", tmp_path / "mine.pth"), ("fvlm", tmp_path / "none.pth"), ("nope", tmp_path)):
        with pytest.raises(UserError):
            supply(name, path)


def test_a_check_that_is_cancelled_takes_nothing_over(tmp_path, place):
    import torch

    torch.save({"model": fvlm_state()}, tmp_path / "mine.pth")
    with pytest.raises(DownloadCancelled):
        supply("fvlm", tmp_path / "mine.pth", cancelled=lambda: True)
    assert list((place / "fvlm").iterdir()) == []


def test_an_encoder_of_ours_comes_from_the_hub(hub, place):
    for path in (SHIPPED / "starter").rglob("*"):
        if path.is_file():
            hub.files[f"me/mine/{path.relative_to(SHIPPED / 'starter')}"] = path.read_bytes()
    hub.files["me/mine/evil.pt"] = b"\x80\x04."
    what = offer("me/mine", endpoint=hub.endpoint)
    assert "licence mit" in str(what) and not any(f.path == "evil.pt" for f in what.files)
    fetch(what, agreed=True, endpoint=hub.endpoint)
    assert not (place / "mine" / "evil.pt").exists()
    assert json.loads((place / "mine" / MARK).read_text())["source"] == "me/mine"
    assert list_entries()["mine"].missing() == () and load_encoder(place / "mine", device="cpu").card.dim
    assert load_encoder("mine", device="cpu").card.revision == load_encoder("starter", device="cpu").card.revision


def test_what_is_no_encoder_of_ours_is_refused(hub):
    with pytest.raises(UserError, match="lacks"):
        offer("org/repo", endpoint=hub.endpoint)
    with pytest.raises(UserError, match="no model"):
        offer("org/nothing", endpoint=hub.endpoint)
    with pytest.raises(UserError, match="There is no encoder"):
        offer("nothing")
    hub.files |= {"me/starter/config.json": b"{}", "me/starter/model.safetensors": b"-"}
    for name in ("me/starter", "x/merlin", "x/Merlin"):
        with pytest.raises(UserError, match="known here"):
            offer(name, endpoint=hub.endpoint)


@pytest.fixture
def two_owners(hub) -> Hub:
    for owner in ("a", "b"):
        hub.files |= {f"{owner}/enc/{name}": owner.encode() * 2000 for name in ("config.json", "model.safetensors")}
    return hub


def test_two_owners_do_not_share_a_folder(two_owners, place):
    fetch(offer("a/enc", endpoint=two_owners.endpoint), agreed=True, endpoint=two_owners.endpoint)
    assert offer("a/enc", endpoint=two_owners.endpoint).files == ()
    with pytest.raises(UserError, match=r"known here \(enc, a/enc\)"):
        offer("b/enc", endpoint=two_owners.endpoint)
    (place / "own").mkdir()
    (place / "own" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        offer("b/own", endpoint=two_owners.endpoint)
    with pytest.raises(UserError, match="owner/name"):
        offer("b/..", endpoint=two_owners.endpoint)


def test_half_an_encoder_of_the_hub_is_not_installed(two_owners, place):
    what = offer("a/enc", endpoint=two_owners.endpoint)
    kept = two_owners.files.pop("a/enc/model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors"):
        fetch(what, agreed=True, endpoint=two_owners.endpoint)
    (told,) = list_entries()["enc"].missing()
    assert "model.safetensors" in told and "napari-ctvlp install a/enc" in told and "enc" not in list_encoders()
    with pytest.raises(UserError, match="install a/enc"):
        load_encoder("enc")
    two_owners.files["a/enc/model.safetensors"] = kept
    for name in ("enc", "a/enc"):  # by the name that doctor knows, or as at first
        assert [f.name for f in offer(name, endpoint=two_owners.endpoint).files] == ["model.safetensors"]


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def at_hub(published, monkeypatch):
    """The command asks this hub."""
    for name in ("offer", "fetch"):
        plain = getattr(install, name)
        monkeypatch.setattr(install, name, lambda *a, p=plain, **k: p(*a, **{**k, "endpoint": published.endpoint}))
    return published


def test_the_command_shows_the_terms_and_wants_a_yes(at_hub, capsys, monkeypatch):
    with pytest.raises(SystemExit) as caught:
        main(["install", "merlin"])
    told = capsys.readouterr()
    assert caught.value.code == 2 and "--yes" in told.err and "MIT (Stanford)" in told.out and at_hub.asked == []

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(SystemExit):
        main(["install", "merlin"])
    assert at_hub.asked == []

    def ctrl_d(_):
        raise EOFError

    monkeypatch.setattr("builtins.input", ctrl_d)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["install", "merlin"])
    assert caught.value.code == 2 and "only with your yes" in capsys.readouterr().err and at_hub.asked == []
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    main(["install", "merlin"])
    assert "is installed" in capsys.readouterr().out


def test_the_closing_line_names_a_command_that_works(at_hub, capsys):
    for path in (SHIPPED / "starter").rglob("*"):
        if path.is_file():
            at_hub.files[f"me/mine/{path.relative_to(SHIPPED / 'starter')}"] = path.read_bytes()
    main(["install", "me/mine", "--yes"])
    assert "napari-ctvlp doctor mine examines it" in capsys.readouterr().out
    assert next(examine("mine")).told.startswith("mine (folder)")


def test_the_command_takes_a_yes_beforehand_and_a_checkpoint(at_hub, capsys, tmp_path):
    import torch

    torch.save({"model": fvlm_state()}, tmp_path / "mine.pth")
    main(["install", "fvlm", "--yes", "--checkpoint", str(tmp_path / "mine.pth")])
    assert "is installed" in capsys.readouterr().out
    main(["install", "fvlm"])
    assert "is installed" in capsys.readouterr().out


def test_a_checkpoint_is_taken_over_only_after_its_terms_and_a_yes(at_hub, capsys, tmp_path, place, monkeypatch):
    import torch

    torch.save({"model": fvlm_state()}, tmp_path / "mine.pth")
    command = ["install", "fvlm", "--checkpoint", str(tmp_path / "mine.pth")]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(SystemExit):
        main(command)
    told = capsys.readouterr()
    assert "state no licence" in told.out and "only with your yes" in told.err
    assert at_hub.asked == [] and not (place / "fvlm").exists()
    questions = []
    monkeypatch.setattr("builtins.input", lambda text: questions.append(text) or "yes")
    main(command)
    assert "is installed" in capsys.readouterr().out and len(questions) == 1
    main(command)  # all is here: the terms are shown and asked for again
    assert "state no licence" in capsys.readouterr().out and len(questions) == 2
    for wrong in (["install", "merlin", *command[2:]], [*command[:3], str(tmp_path / "none.pth")]):
        with pytest.raises(SystemExit):
            main(wrong)
    assert len(questions) == 2
