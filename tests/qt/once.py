"""What napari and vispy work out anew for every window, and what comes out the same every time: done once a process.

A third of the time of a test with a window goes there. Nothing is left out and nothing is drawn otherwise: a result is
handed out again where everything that it depends on is the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
from npe2 import PluginManager
from vispy.gloo import glir
from vispy.gloo.program import Program
from vispy.visuals.shaders.function import Function
from vispy.visuals.text.text import SDFRendererCPU


def plugins_are_looked_for_once(patch: pytest.MonkeyPatch) -> None:
    """No package is installed while tests run, and napari's fixture looks through all of them for every viewer."""
    discover = PluginManager.discover
    done: WeakSet[PluginManager] = WeakSet()

    def once(self: PluginManager, paths: Any = (), clear: bool = False, include_npe1: bool = False) -> int:
        if self is PluginManager.instance() and not paths and not clear:
            if self in done:
                return 0
            done.add(self)
        return discover(self, paths, clear, include_npe1)

    patch.setattr(PluginManager, "discover", once)


def shaders_are_parsed_once(patch: pytest.MonkeyPatch) -> None:
    """What vispy reads in the sources of programs by slow regular expressions, and how it cleans and converts them."""
    parse = Program._parse_variables_from_code
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def once(self: Any, update_variables: bool = True) -> None:
        code = tuple(shader.code for shader in self._shaders)
        if code not in known:
            parse(self, update_variables=False)
            known[code] = self._code_variables
        self._code_variables = dict(known[code])
        if update_variables:
            self._process_pending_variables()

    @cache
    def clean(code: str) -> str:
        return as_it_is(None, code)

    as_it_is = Function._clean_code
    patch.setattr(Program, "_parse_variables_from_code", once)
    patch.setattr(Function, "_clean_code", lambda self, code: clean(code))
    patch.setattr(glir, "convert_shader", cache(glir.convert_shader))


def letters_are_drawn_once(patch: pytest.MonkeyPatch) -> None:
    """The distance field of a letter, which depends on its picture and the size that is wanted."""
    render = SDFRendererCPU.render_to_texture
    known: dict[tuple[bytes, tuple[int, ...], tuple[int, int]], np.ndarray] = {}

    def once(self: Any, data: np.ndarray, texture: Any, offset: tuple[int, int], size: tuple[int, int]) -> None:
        key = data.tobytes(), data.shape, tuple(size)
        if key not in known:
            known[key] = np.zeros((size[1], size[0], 3), np.uint8)
            render(self, data, known[key], (0, 0), size)
        texture[offset[1] : offset[1] + size[1], offset[0] : offset[0] + size[0], :] = known[key].copy()

    patch.setattr(SDFRendererCPU, "render_to_texture", once)
