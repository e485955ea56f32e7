"""How each organ is to be drawn: shown or not, colour, opacity, one alone. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from psygnal import Signal

Colour = tuple[float, float, float, float]
"""Red, green, blue, alpha, each 0..1."""


@dataclass(frozen=True)
class Look:
    """How one organ is drawn."""

    colour: tuple[float, float, float]
    opacity: float = 1.0
    visible: bool = True


@dataclass(frozen=True)
class _State:
    looks: Mapping[int, Look]
    solo: frozenset[int]


class OrganLooks:
    """The looks of the organs of one mask, by label.

    Notes
    -----
    ``changed`` (psygnal, no value) tells that something is to be drawn anew. `state` and `restore` take steps back.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._looks: dict[int, Look] = {}
        self._first: dict[int, Look] = {}
        self._solo: frozenset[int] = frozenset()

    def reset(self, colours: Mapping[int, Colour]) -> None:
        """Begin with organs of these colours, all shown."""
        self._looks = {label: Look(colour[:3], colour[3]) for label, colour in colours.items()}
        self._first = dict(self._looks)
        self._solo = frozenset()
        self.changed.emit()

    def extend(self, colours: Mapping[int, Colour]) -> None:
        """Add organs of these colours, shown; those that are there stay as they are."""
        new = {label: Look(colour[:3], colour[3]) for label, colour in colours.items()}
        self._first = new | self._first
        self._looks = new | self._looks
        self.changed.emit()

    def begin_again(self) -> None:
        """Draw every organ as at first, and all of them."""
        self._looks, self._solo = dict(self._first), frozenset()
        self.changed.emit()

    @property
    def state(self) -> _State:
        """What `restore` takes."""
        return _State(dict(self._looks), self._solo)

    def restore(self, state: _State) -> None:
        """Go back to an earlier state of the same masks; organs that were painted since keep their looks."""
        if set(state.looks) <= set(self._looks):
            self._looks, self._solo = {**self._looks, **state.looks}, state.solo
            self.changed.emit()

    @property
    def touched(self) -> dict[int, Look]:
        """The looks of the organs that are not drawn as at first."""
        return {label: look for label, look in self._looks.items() if look != self._first.get(label)}

    @property
    def solo(self) -> frozenset[int]:
        """Labels that are shown alone; empty when none are."""
        return self._solo

    def look(self, label: int) -> Look | None:
        """The look of an organ, None where there is no such label."""
        return self._looks.get(label)

    def shown(self, label: int) -> bool:
        """Whether an organ is drawn."""
        if self._solo:
            return label in self._solo
        look = self._looks.get(label)
        return look is not None and look.visible

    def set_visible(self, labels: Iterable[int], visible: bool) -> None:
        """Show or hide organs; ends solo, which would contradict it."""
        if self._solo:  # what is seen now is where one starts from
            solo, self._solo = self._solo, frozenset()
            self._looks = {label: replace(look, visible=label in solo) for label, look in self._looks.items()}
        self._change(labels, visible=visible)

    def set_solo(self, labels: Iterable[int]) -> None:
        """Draw these alone, or all that are visible again where ``labels`` is empty."""
        self._solo = frozenset(label for label in labels if label in self._looks)
        self.changed.emit()

    def show_all(self) -> None:
        """Show every organ, and end solo."""
        self._solo = frozenset()
        self._change(list(self._looks), visible=True)

    def set_colour(self, labels: Iterable[int], colour: tuple[float, float, float]) -> None:
        """Draw organs in this colour."""
        self._change(labels, colour=colour)

    def set_opacity(self, labels: Iterable[int], opacity: float) -> None:
        """Draw organs with this share of the usual opacity, 0..1."""
        self._change(labels, opacity=min(1.0, max(0.0, opacity)))

    def base(self) -> dict[int, Colour]:
        """Colour of every organ at rest, alpha 0 where it is not drawn."""
        return {
            label: (*look.colour, look.opacity if self.shown(label) else 0.0) for label, look in self._looks.items()
        }

    def _change(self, labels: Iterable[int], **what: object) -> None:
        for label in labels:
            if label in self._looks:
                self._looks[label] = replace(self._looks[label], **what)  # type: ignore[arg-type]
        self.changed.emit()
