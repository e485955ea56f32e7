"""What vispy works out anew for every picture on a canvas, and what comes out the same each time: done once.

For a process that is ours alone, because methods of vispy are replaced. Nothing is drawn otherwise: a result is handed
out again where all that it depends on is the same. The first scan in a window of three views takes its thread 1.5 s
with it and 2.2 s without: that goes into reading sources of shaders by regular expressions and into drawing letters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np

KEPT = 512
"""Sources of shaders that are remembered, and as many letters."""
Method = Callable[..., Any]
Replaced = tuple[Any, str, Method]


def work_out_once() -> bool:
    """Remember from now on what was read in shaders and how letters look.

    Returns
    -------
    bool
        Whether this is a vispy whose methods are known; with another one nothing is changed.
    """
    found = replacements()
    for owner, name, method in found:
        setattr(owner, name, method)
    return bool(found)


def replacements() -> tuple[Replaced, ...]:
    """What takes the place of vispy's methods: owner, name and what is to be there; none for a vispy not known here."""
    try:
        from vispy.gloo import glir
        from vispy.gloo.program import Program
        from vispy.visuals.shaders.function import Function
        from vispy.visuals.text.text import SDFRendererCPU
    except ImportError:
        return ()
    known: tuple[tuple[Any, str, str, Callable[[Method], Method]], ...] = (
        (Program, "_parse_variables_from_code", "self update_variables", _read_once),
        (Function, "_clean_code", "self code", _cleaned_once),
        (glir, "convert_shader", "backend_type shader", lru_cache(KEPT)),
        (SDFRendererCPU, "render_to_texture", "self data texture offset size", _drawn_once),
    )
    if any(_parameters(getattr(owner, name, None)) != given for owner, name, given, _ in known):
        return ()
    return tuple((owner, name, once(getattr(owner, name))) for owner, name, _, once in known)


def _parameters(method: object) -> str:
    return " ".join(inspect.signature(method).parameters) if callable(method) else ""


def _read_once(read: Method) -> Method:
    """The variables of a program, which depend on its sources alone."""

    @lru_cache(KEPT)
    def variables(sources: tuple[str, ...]) -> dict[str, Any]:
        return {}  # filled by who asks first, who has the program to read

    @wraps(read)
    def once(self: Any, update_variables: bool = True) -> None:
        there = variables(tuple(shader.code for shader in self._shaders))
        if not there:
            read(self, update_variables=False)
            there.update(self._code_variables)
        self._code_variables = dict(there)
        if update_variables:
            self._process_pending_variables()

    return once


def _cleaned_once(clean: Method) -> Method:
    """A source without its indentation."""
    cleaned = lru_cache(KEPT)(lambda code: clean(None, code))
    return wraps(clean)(lambda self, code: cleaned(code))


def _drawn_once(draw: Method) -> Method:
    """The distance field of a letter, which depends on its picture and the size that is wanted."""

    @lru_cache(KEPT)
    def drawn(picture: bytes, shape: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
        letter = np.zeros((size[1], size[0], 3), np.uint8)
        draw(None, np.frombuffer(picture, np.uint8).reshape(shape), letter, (0, 0), size)
        return letter

    @wraps(draw)
    def once(self: Any, data: np.ndarray, texture: Any, offset: tuple[int, int], size: tuple[int, int]) -> None:
        if data.dtype != np.uint8:
            draw(self, data, texture, offset, size)
            return
        (x, y), (width, height) = offset, size
        letter = drawn(data.tobytes(), data.shape, (int(width), int(height)))
        texture[y : y + height, x : x + width, :] = letter.copy()  # it may be kept until the canvas is drawn

    return once
