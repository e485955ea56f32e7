"""What a random user does in the dock and its dialogs."""

from __future__ import annotations

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollBar,
    QTableView,
    QToolButton,
)

from .monkey_layers import LayerHands

TEXTS = ("", "kid", "stone", "l", "zzz", "an example of mine")
ORDERS = (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder)
PROMPTS = ("a large {organ}", "a cyst in the {organ}", "fat", "{organ} {nothing}", "x" * 400, "   ")


class DockHands(LayerHands):
    """Uses what stands in the dock, whatever that is: what is new is used, too."""

    def shown(self, kind):
        """Widgets of a kind that the dock and its dialogs show."""
        return [one for one in self.widget.findChildren(kind) if one.isVisible() and one.isEnabled()]

    def press_a_button(self):
        button = self.pick(b for b in self.shown(QAbstractButton) if not has_menu(b))
        if button is not None:
            button.click()

    def choose_from_a_menu(self):
        """Anything that stands in a menu of ours, as it would be enabled when the menu opens."""
        menu = self.pick(menu for menu in self.widget.findChildren(QMenu) if not menu.isEmpty())
        if menu is not None:
            menu.aboutToShow.emit()
            action = self.pick(a for a in menu.actions() if a.isEnabled() and a.isVisible() and not a.isSeparator())
            if action is not None:
                action.trigger()

    def choose_by_right_click(self):
        table = self.pick(t for t in self.shown(QTableView) if t.model().rowCount())
        if table is None:
            return
        table.customContextMenuRequested.emit(QPoint(5, int(self.rng.integers(max(1, table.viewport().height())))))
        menu = QApplication.activePopupWidget()
        if isinstance(menu, QMenu):
            action = self.pick(a for a in menu.actions() if a.isEnabled() and a.menu() is None)
            menu.close()
            if action is not None:
                action.trigger()

    def choose_a_row(self):
        table = self.pick(t for t in self.shown(QTableView) if t.model().rowCount() and t.model().columnCount())
        if table is None:
            return
        index = table.model().index(int(self.rng.integers(table.model().rowCount())), 0)
        table.setCurrentIndex(index)
        self.pick([table.clicked, table.activated, table.doubleClicked]).emit(index)

    def sort_a_table(self):
        table = self.pick(t for t in self.shown(QTableView) if t.isSortingEnabled())
        if table is not None:
            table.horizontalHeader().sectionClicked.emit(0)
            table.sortByColumn(int(self.rng.integers(table.model().columnCount())), self.pick(ORDERS))

    def choose_from_a_list(self):
        box = self.pick(b for b in self.shown(QComboBox) if b.count())
        if box is not None:
            place = int(self.rng.integers(box.count()))
            box.setCurrentIndex(place)
            box.activated.emit(place)

    def move_a_slider(self):
        slider = self.pick(s for s in self.shown(QAbstractSlider) if not isinstance(s, QScrollBar))
        if slider is not None:
            slider.setValue(int(self.rng.integers(slider.minimum(), slider.maximum() + 1)))

    def type_into_a_line(self):
        line = self.pick(one for one in self.shown(QLineEdit) if one is not self.widget.dock.query)
        if line is not None and not line.isReadOnly():
            line.setText(self.pick(TEXTS))
            line.editingFinished.emit()

    # -- rooms -------------------------------------------------------------------------------------------------

    def edit_prompts(self):
        """Open the lab, try other words, keep them or not."""
        lab = self.widget.lab
        lab.open()
        editor = self.pick([lab.dialog.positive, lab.dialog.negative])
        lines = [*editor.toPlainText().splitlines(), self.pick(PROMPTS)]
        editor.setPlainText("\n".join(lines[int(self.rng.integers(len(lines))) :] if self.chance(0.3) else lines))
        if self.chance(0.5):
            lab.dialog.edited.emit()  # as after a pause
        if self.chance(0.3):
            lab.dialog.save.click()
        elif self.chance(0.2):
            lab.dialog.revert.click()

    def teach(self):
        """Make organs examples of a finding."""
        panel = self.widget.teacher.panel
        self.widget.dock.tables.setCurrentWidget(panel)
        panel.name.setEditText(self.pick(["", "soft spot", "cyst", "stone"]))
        self.widget.navigator.choose(self.pick(["liver", "spleen", "kidney_left", "kidney_right"]))
        self.press(self.window, self.pick(["Shift+Y", "Shift+X"]))

    def ask_another_encoder_too(self):
        action = self.pick(self.widget.dock.encoder.menu.actions())
        if action is not None:
            action.trigger()

    def open_a_prior(self):
        follow_up = self.widget.follow_up
        kind = self.rng.integers(5)
        if kind == 0:
            follow_up.forget()
        elif kind == 1 and not (follow_up.dialog is not None and follow_up.dialog.isVisible()):
            follow_up.toggle()
        else:
            follow_up.open(*self.pick(self.priors))

    def change_settings(self):
        """In napari's preferences."""
        settings = self.settings
        kind = self.rng.integers(4)
        if kind == 0:
            settings.asking.use_names = not settings.asking.use_names
        elif kind == 1:
            settings.looking.automatic_window = not settings.looking.automatic_window
        elif kind == 2:
            settings.looking.map_opacity = int(self.rng.integers(101))
        else:
            settings.looking.side_views = not settings.looking.side_views

    # -- tables ------------------------------------------------------------------------------------------------

    def use_the_organ_list(self):
        panel = self.widget.dock.organs
        self.widget.dock.tables.setCurrentWidget(panel)
        listed = panel.listed
        kind = self.rng.integers(7)
        if kind == 0:
            panel.group.setCurrentIndex(int(self.rng.integers(max(1, panel.group.count()))))
        elif kind == 1:
            panel.filter.setText(self.pick(["", "kid", "l", "zzz"]))
        elif kind == 2:
            panel.solo_requested.emit(listed[:1] if self.chance(0.5) else ())
        elif kind == 3:
            panel.visible_requested.emit(listed[:2], self.chance(0.5))
        elif kind == 4:
            panel.opacity.setValue(int(self.rng.integers(101)))
        elif kind == 5 and listed:
            panel.table.selectRow(int(self.rng.integers(len(listed))))
        elif listed:
            panel.table.clicked.emit(panel.table.model().index(int(self.rng.integers(len(listed))), 0))

    def use_the_findings(self):
        panel = self.widget.dock.findings
        self.widget.dock.tables.setCurrentWidget(panel)
        rows = panel.table.model().rowCount()
        if self.chance(0.3):
            panel.filter.setText(self.pick(["", "stone", "liver", "zzz"]))
        elif self.chance(0.3):
            panel.hide_na.click()
        elif rows:
            panel.table.clicked.emit(panel.table.model().index(int(self.rng.integers(rows)), 0))


def has_menu(button):
    """Whether a click would wait for somebody to choose."""
    return isinstance(button, QPushButton | QToolButton) and button.menu() is not None
