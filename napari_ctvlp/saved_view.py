"""How a scan was looked at, as a saved session keeps it. No Qt and no napari."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class SavedLook:
    """How one organ was drawn, where it was not as at first: see `napari_ctvlp._qt.organ_looks.Look`."""

    organ: str
    colour: tuple[float, ...]
    opacity: float = 1.0
    visible: bool = True


@dataclass(frozen=True)
class SavedSide:
    """What a side view showed of its slice.

    Attributes
    ----------
    name : str
        "coronal" or "sagittal".
    span : float
        How many mm lay along the shorter side of its canvas, which the next window may give another size.
    centre : tuple of float
        Of the camera, in mm along the two axes shown.
    """

    name: str
    span: float
    centre: tuple[float, float]


@dataclass(frozen=True)
class SavedView:
    """How the scan was looked at; what is None or empty was not told and is left as it is.

    Attributes
    ----------
    point : tuple of float
        Where the slices stood, in mm of the viewer (I, P, L).
    order : tuple of int
        Which axis is looked along: the first.
    ndisplay : int
    zoom : float
    centre : tuple of float
        Of the camera, in mm.
    window : (low, high) or None
        HU from black to white.
    opacity : float or None
        Of the organs.
    angles : tuple of float
        Of the camera in 3D, in degrees.
    side_views, body, map, organs, automatic_window : bool or None
        Whether coronal and sagittal, the organs in 3D, the map of the answer and the organs were shown, and whether
        questions chose the window.
    looks : tuple of SavedLook
        Of the organs that were drawn otherwise than at first.
    solo : tuple of str
        Organs that were shown alone.
    sides : tuple of SavedSide
        How far the side views were zoomed, and to where.
    """

    point: tuple[float, ...] = ()
    order: tuple[int, ...] = ()
    ndisplay: int = 2
    zoom: float = 0.0
    centre: tuple[float, ...] = ()
    window: tuple[float, float] | None = None
    opacity: float | None = None
    angles: tuple[float, ...] = ()
    side_views: bool | None = None
    body: bool | None = None
    map: bool | None = None
    organs: bool | None = None
    automatic_window: bool | None = None
    looks: tuple[SavedLook, ...] = ()
    solo: tuple[str, ...] = ()
    sides: tuple[SavedSide, ...] = ()


def view_from_json(data: Mapping[str, Any]) -> SavedView:
    """A view from what was read of a file, which may be of an older version or edited by hand.

    Raises
    ------
    TypeError, ValueError, KeyError
        When a value is of the wrong kind.
    """
    return SavedView(
        point=_floats(data.get("point")),
        order=tuple(int(v) for v in data.get("order") or ()),
        ndisplay=3 if data.get("ndisplay") == 3 else 2,
        zoom=float(data.get("zoom") or 0.0),
        centre=_floats(data.get("centre")),
        window=_pair(data.get("window")),
        opacity=None if data.get("opacity") is None else float(data["opacity"]),
        angles=_floats(data.get("angles")),
        side_views=_flag(data.get("side_views")),
        body=_flag(data.get("body")),
        map=_flag(data.get("map")),
        organs=_flag(data.get("organs")),
        automatic_window=_flag(data.get("automatic_window")),
        looks=tuple(_look(item) for item in data.get("looks") or ()),
        solo=tuple(str(organ) for organ in data.get("solo") or ()),
        sides=tuple(_side(item) for item in data.get("sides") or ()),
    )


def _side(item: Mapping[str, Any]) -> SavedSide:
    span, down, across = (float(v) for v in (item["span"], *item["centre"]))
    if not (span > 0 and all(map(isfinite, (span, down, across)))):
        raise ValueError("no place in mm")
    return SavedSide(str(item["name"]), span, (down, across))


def _look(item: Mapping[str, Any]) -> SavedLook:
    red, green, blue = (min(1.0, max(0.0, float(v))) for v in item["colour"])
    opacity, visible = float(item.get("opacity", 1.0)), _flag(item.get("visible"))
    return SavedLook(str(item["organ"]), (red, green, blue), opacity, visible is not False)


def _flag(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _floats(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in value or ())


def _pair(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = (float(v) for v in value)
    return (low, high)
