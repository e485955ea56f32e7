"""What a run was told, call by call: a run that goes on may go on with other settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

FILE = "calls.json"
WAYS = frozenset({"preset", "run", "resume", "minutes", "dry_run", "config", "name", "threads", "device"})
"""Settings that change nothing of what comes out."""


def note_call(folder: Path, step: int, settings: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
    """Write down the settings of a call where they are other ones than those of the call before.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        At which the call begins.
    settings : mapping
        As ``training.export.told_settings`` gives them.
    before : mapping, optional
        Settings of the call before, for a run that has nothing written down yet.
    """
    calls = _read(folder)
    if not calls and before is not None:
        calls.append({"step": 0, "settings": flat(before)})
    told = flat(settings)
    if calls and calls[-1]["settings"] == told:
        return
    calls.append({"step": step, "settings": told})
    temporary = folder / f"{FILE}.tmp"
    with temporary.open("w", encoding="utf-8") as handle:
        json.dump(calls, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(folder / FILE)


def changes(folder: Path) -> list[dict[str, Any]]:
    """Per call after the first what it changed: the step from which, and name of a setting to [before, after]."""
    calls = _read(folder)
    found = []
    for old, new in pairwise(calls):
        one, other = old["settings"], new["settings"]
        names = [n for n in sorted(one.keys() | other.keys()) if one.get(n) != other.get(n)]
        found.append({"step": new["step"]} | {name: [one.get(name), other.get(name)] for name in names})
    return found


def _read(folder: Path) -> list[dict[str, Any]]:
    try:
        calls: list[dict[str, Any]] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return calls


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"world": {"seed": 0}} to {"world.seed": 0}, without ways."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if prefix or name not in WAYS:
            found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    as_read: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return as_read
