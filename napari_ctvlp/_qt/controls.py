"""The buttons of the dock and what each of them does; keys are in `key_table`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctvlp._qt.undo_controls import undo_switches

if TYPE_CHECKING:
    from napari_ctvlp._qt.main_widget import CtvlpWidget


def join_buttons(widget: CtvlpWidget) -> None:
    """Join the buttons of the dock with what they act on."""
    view, more, findings, tools = widget.dock.view, widget.dock.more, widget.dock.findings, widget.dock.tools
    view.window_chosen.connect(widget.window_level.choose)
    view.own_window_requested.connect(widget.window_level.choose_own)
    view.automatic_toggled.connect(widget.window_level.set_automatic)
    view.undo_requested.connect(widget.undo.undo)
    view.views_requested.connect(widget.views.toggle)
    view.organs_requested.connect(widget.toggle_organs)
    view.body_requested.connect(widget.body.toggle)
    view.map_requested.connect(widget.similarity.toggle)
    view.maximise_requested.connect(widget.views.maximise)
    view.keys_requested.connect(widget.keys_window.toggle)
    undo_switches(widget.dock, widget.undo)
    findings.pair_chosen.connect(widget.reasons.choose)
    findings.pair_chosen.connect(widget.lab.choose)
    findings.why_requested.connect(widget.reasons.open)
    findings.prompts_requested.connect(widget.lab.toggle)
    more.evidence_requested.connect(widget.reasons.toggle)
    more.input_requested.connect(widget.input.next)
    more.queries_requested.connect(widget.asked.toggle)
    more.pin_requested.connect(widget.asked.pin_present)
    more.prompts_requested.connect(widget.lab.toggle)
    tools.audit_requested.connect(widget.audit.toggle)
    tools.follow_up_requested.connect(widget.follow_up.toggle)
