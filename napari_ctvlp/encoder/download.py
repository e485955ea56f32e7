"""One file from the model hub: with progress, stopped and gone on with at will, checked by its digest, whole or not."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from napari_ctvlp.errors import UserError

from .file_lock import OwnedElsewhere, owning
from .registry import RemoteFile

CHUNK = 1 << 20
TRIES = 3
"""How often a transfer that broke off is taken up again before the user is told."""
TIMEOUT = 30.0
SPARE = 50_000_000
"""Bytes that a download leaves free on the disk."""


class DownloadCancelled(Exception):
    """Raised where ``cancelled()`` became true; what came so far is kept, and the next download goes on from there."""


class _BrokenOff(Exception):
    """The transfer ended before the file did."""


@dataclass(frozen=True)
class _Told:
    """What the hub says of a file: bytes, digest (sha256, or git's sha1 of small files), where to get it."""

    size: int
    digest: str
    url: str


def download(
    file: RemoteFile,
    target: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    endpoint: str | None = None,
) -> str:
    """Download one file, going on with what an earlier try left.

    Parameters
    ----------
    file : RemoteFile
    target : Path
        Where it shall lie; appears there only when it is whole and its digest is right.
    progress : callable, optional
        Called with bytes here and bytes in all.
    cancelled : callable, optional
        Asked before and after every part of a megabyte.
    endpoint : str, optional
        Address of another hub.

    Returns
    -------
    str
        The digest that was checked.

    Raises
    ------
    UserError
        For no network, a file that is not there or not to be had, a transfer that breaks off again and again, a wrong
        digest, a full disk, a folder that cannot be written, another process that downloads the file.
    DownloadCancelled
        When ``cancelled()`` turns true.
    """
    told = _ask(file, endpoint)

    def give_up() -> None:
        if cancelled is not None and cancelled():
            raise DownloadCancelled

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # one that was cancelled may still be reading: what it has in hand and what comes anew must not both be written
        with owning(target, give_up) as waited:
            if not (waited and target.is_file() and _matches(target, told)):
                _bring(told, target, progress, cancelled)
    except OwnedElsewhere as error:
        raise UserError(f"'{target.name}' is being downloaded by another process: wait for that one.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"The disk became full while '{target.name}' was downloaded; make room and do it again to go on."
            ) from error
        raise UserError(f"'{target}' cannot be written ({error.strerror or type(error).__name__}).") from error
    return told.digest


def _bring(
    told: _Told,
    target: Path,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Make the file whole from what is here and what the hub sends."""
    part = target.with_name(target.name + ".part")
    note = target.with_name(target.name + ".part.digest")
    if not note.is_file() or note.read_text(errors="replace") != told.digest:
        part.unlink(missing_ok=True)
        note.write_text(told.digest)
    have = part.stat().st_size if part.is_file() else 0
    free = shutil.disk_usage(target.parent).free
    if free < told.size - have + SPARE:
        raise UserError(
            f"The disk is too full for '{target.name}': {(told.size - have) / 1e6:,.0f} MB are needed in "
            f"'{target.parent}', {free / 1e6:,.0f} MB are free."
        )
    for attempt in range(TRIES):
        try:
            _transfer(told, part, progress, cancelled)
            break
        except _BrokenOff as error:
            if attempt == TRIES - 1:
                here = part.stat().st_size if part.is_file() else 0
                raise UserError(
                    f"The download of '{target.name}' broke off at {here / 1e6:,.1f} of {told.size / 1e6:,.1f} MB; "
                    "do it again to go on from there."
                ) from error
    if not _matches(part, told):
        part.unlink()
        note.unlink()
        raise UserError(f"'{target.name}' came damaged: its digest is not {told.digest[:12]}…; download it again.")
    part.replace(target)
    note.unlink()


def _ask(file: RemoteFile, endpoint: str | None) -> _Told:
    """What the hub knows of a file before it is sent."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    url = hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=endpoint)
    try:
        said = get_hf_file_metadata(url, timeout=TIMEOUT, endpoint=endpoint)
    except OfflineModeIsEnabled as error:
        raise UserError("The hub is switched off here (HF_HUB_OFFLINE): nothing can be downloaded.") from error
    except GatedRepoError as error:
        raise UserError(
            f"{file.repo} gives its files out only to users who asked on its page and signed in."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise UserError(f"The hub does not give out '{file.path}' of {file.repo} (status {status}).") from error
    except Exception as error:  # every HTTP library has its own names for "no network"
        raise UserError(
            f"The model hub cannot be reached ({type(error).__name__}): check the network and try again."
        ) from error
    digest = file.sha256 or (said.etag or "").strip('"')
    if said.size is None or len(digest) not in (40, 64):
        raise UserError(f"The hub gives neither size nor digest of '{file.path}' of {file.repo}: it is not downloaded.")
    return _Told(int(said.size), digest, said.location or url)


def _transfer(
    told: _Told,
    part: Path,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Append to the part until it is whole."""
    have = part.stat().st_size if part.is_file() else 0
    if have == told.size:
        return
    request = urllib.request.Request(told.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            _receive(answer, told, part, have, progress, cancelled)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is here is longer than the file
            part.unlink(missing_ok=True)
        raise _BrokenOff from error
    except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _BrokenOff from error
    if part.stat().st_size < told.size:
        raise _BrokenOff


def _receive(
    answer: HTTPResponse,
    told: _Told,
    part: Path,
    have: int,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    resumed = answer.status == 206
    have = have if resumed else 0
    with part.open("ab" if resumed else "wb") as out:
        while have < told.size:
            if cancelled is not None and cancelled():
                raise DownloadCancelled
            block = answer.read(min(CHUNK, told.size - have))
            if cancelled is not None and cancelled():
                raise DownloadCancelled  # cancelled means that nothing more is written, however long the hub took
            if not block:
                break
            out.write(block)
            have += len(block)
            if progress is not None:
                progress(have, told.size)
        out.flush()
        os.fsync(out.fileno())


def _matches(path: Path, told: _Told) -> bool:
    """Whether a file has the digest that the hub or we know: sha256, or sha1 as git counts it."""
    total = hashlib.sha256() if len(told.digest) == 64 else hashlib.sha1(f"blob {told.size}\0".encode())
    with path.open("rb") as source:
        while block := source.read(CHUNK):
            total.update(block)
    return path.stat().st_size == told.size and total.hexdigest() == told.digest
