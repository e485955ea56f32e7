"""Keys that napari's layers have a use for, by the keymaps that napari's actions and other plugins fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari.utils.key_bindings import coerce_keybinding

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer


class LayerKeys:
    """Tells whether the active layer has a use for a key; layers of ours have none.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    ours : callable
        Gives the layers of ours.
    """

    def __init__(self, viewer: napari.viewer.Viewer, ours: Callable[[], Sequence[Layer]]) -> None:
        self._viewer = viewer
        self._ours = ours

    def has(self, key: str) -> bool:
        """Whether napari does something on a key (as Qt writes it: "Shift+L") in the active layer."""
        active = self._viewer.layers.selection.active
        # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
        layer = next((layer for layer in self._viewer.layers if layer == active), None)
        return layer is not None and not any(layer is one for one in self._ours()) and binds(layer, key)


def binds(layer: Layer, key: str) -> bool:
    """Whether a layer does something on a key while it is the active one."""
    try:
        wanted = coerce_keybinding(key)
    except (KeyError, ValueError):  # a key that napari does not know
        return False
    keymaps = [layer.keymap, *(vars(cls).get("class_keymap", {}) for cls in type(layer).__mro__)]
    found = next((keymap[wanted] for keymap in keymaps if wanted in keymap), None)
    return callable(found)
