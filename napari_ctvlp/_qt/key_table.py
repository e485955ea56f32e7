"""All keys of the window with what they do, and what the mouse does: the shortcuts and the list "Keys and mouse"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_ctvlp._qt.ask_bar import EVIDENCE_KEY, INPUT_KEY, PIN_KEY, PROMPTS_KEY, QUERIES_KEY
from napari_ctvlp._qt.audit_window import AUDIT_KEY
from napari_ctvlp._qt.follow_up import FOLLOW_UP_KEY
from napari_ctvlp._qt.map_legend import PEAK_KEY
from napari_ctvlp._qt.prompt_dialog import SAVE_KEY
from napari_ctvlp._qt.queries_dialog import FORGET_KEY, PIN_SELECTED_KEY
from napari_ctvlp._qt.query_line import LINE_KEYS
from napari_ctvlp._qt.stepping import ACROSS, DOWN, STEPS
from napari_ctvlp._qt.teach_bar import NO_KEY, YES_KEY
from napari_ctvlp._qt.view_bar import (
    BODY_KEY,
    HIDE_KEY,
    KEYS_KEYS,
    MAP_KEY,
    MAXIMISE_KEY,
    OWN_KEY,
    UNDO_KEY,
    VIEWS_KEY,
    preset_key,
)
from napari_ctvlp.anatomy.windows import PRESETS

if TYPE_CHECKING:
    from napari_ctvlp._qt.main_widget import CtvlpWidget
    from napari_ctvlp._qt.shortcuts import Shortcuts
    from napari_ctvlp._qt.stepping import Stepping

LOOKING, PLACES, WINDOW, ASKING, TEACHING, TABLES = (
    "Looking",
    "Going to a place",
    "Window of HU",
    "Asking",
    "Teaching",
    "Tables and dialogs",
)


def add_keys(keys: Shortcuts, widget: CtvlpWidget, stepping: Stepping) -> None:
    """Say which key does what in the window of a dock, and what the mouse does there."""
    keys.add(UNDO_KEY, widget.undo.undo, LOOKING, "Take the last step back")
    keys.add(VIEWS_KEY, widget.views.toggle, LOOKING, "Show coronal and sagittal, or hide them")
    what = "Give the view under the cursor the window, or give all their places back; elsewhere one after the other"
    keys.add(MAXIMISE_KEY, widget.views.maximise_next, LOOKING, what)
    keys.tell("Double-click in a view", LOOKING, "The same, while coronal and sagittal are shown")
    keys.add(HIDE_KEY, widget.toggle_organs, LOOKING, "Hide all organs, or show them again")
    keys.add(BODY_KEY, widget.body.toggle, LOOKING, "Organs as surfaces in 3D, or no longer")
    for key in KEYS_KEYS:
        keys.add(key, widget.keys_window.toggle, LOOKING, "This list")
    _add_places(keys, widget, stepping)
    for place, preset in enumerate(PRESETS):
        action = partial(widget.window_level.choose, preset)
        keys.add(preset_key(place), action, WINDOW, f"{preset.name} ({preset.width:g} / {preset.level:g})")
    keys.add(OWN_KEY, widget.window_level.choose_own, WINDOW, "The scan's own")
    keys.tell("Right drag in a view", WINDOW, "Right for wider, left for narrower, down for darker, up for brighter")
    _add_asking(keys, widget)
    keys.add(YES_KEY, partial(widget.teacher.answer, True), TEACHING, "The finding is in the organ: an example")
    keys.add(NO_KEY, partial(widget.teacher.answer, False), TEACHING, "It is not: an example, too")
    _tell_tables(keys)


def _add_places(keys: Shortcuts, widget: CtvlpWidget, stepping: Stepping) -> None:
    keys.tell("Click in a view", PLACES, "All views go there (with napari's pan and zoom tool)")
    keys.tell("Shift and move in a view", PLACES, "All views go along")
    for key, where, direction in STEPS:
        side = {ACROSS: ("left", "right"), DOWN: ("up", "down")}.get(where)
        told = "One slice" if side is None else f"One voxel {side[direction > 0]} in the axial view"
        told += "" if side is not None else (" down" if direction > 0 else " up")
        keys.add(key, partial(stepping.step, where, direction), PLACES, told, arrows=True)
    keys.add(PEAK_KEY, widget.similarity.next_peak, PLACES, "The next place that answers best")
    keys.tell("Ctrl and wheel in a view", PLACES, "Slices, one after the other (napari); the wheel alone zooms")


def _add_asking(keys: Shortcuts, widget: CtvlpWidget) -> None:
    for key in LINE_KEYS:
        keys.add(key, widget.dock.to_line, ASKING, "Go to the question")
    keys.tell("Enter in the question", ASKING, "Ask; the keys are the window's then, arrows and Enter choose an answer")
    keys.tell("Up, Down in the question", ASKING, "Earlier questions")
    keys.tell("Esc in the question", ASKING, "Put back what was asked, then leave the question")
    keys.add(MAP_KEY, widget.similarity.toggle, ASKING, "Map where in the organ the answer lies, or hide the map")
    keys.add(EVIDENCE_KEY, widget.reasons.toggle, ASKING, "Why this score")
    keys.add(PROMPTS_KEY, widget.lab.toggle, ASKING, "Prompt lab: try other words")
    keys.add(QUERIES_KEY, widget.asked.toggle, ASKING, "What was asked")
    keys.add(PIN_KEY, widget.asked.pin_present, ASKING, "Pin the question as a column of the organ table")
    keys.add(INPUT_KEY, widget.input.next, ASKING, "What the encoder saw; again for its next window")
    keys.add(FOLLOW_UP_KEY, widget.follow_up.toggle, ASKING, "Follow-up: compare with a prior")
    keys.add(AUDIT_KEY, widget.audit.toggle, ASKING, "Audit card of the scan")


def _tell_tables(keys: Shortcuts) -> None:
    keys.tell("Click or Enter on a row", TABLES, "Go to its organ")
    keys.tell("Space on an organ", TABLES, "Show it or hide it, as a click on its box does")
    keys.tell("Right click on a row", TABLES, "What else can be done with it")
    keys.tell("Double-click on a question", TABLES, "Ask it again (Queries)")
    keys.tell(PIN_SELECTED_KEY, TABLES, "Pin the selected questions (Queries)")
    keys.tell(FORGET_KEY, TABLES, "Forget the selected questions (Queries)")
    keys.tell(SAVE_KEY, TABLES, "Write the prompts into your dictionary (Prompt lab)")
