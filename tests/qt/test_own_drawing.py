"""What is worked out once comes out as what is worked out every time."""

import inspect

import numpy as np
import pytest
from vispy.gloo import glir
from vispy.gloo.program import Program
from vispy.visuals.shaders.function import Function
from vispy.visuals.text.text import SDFRendererCPU

from napari_ctvlp._qt.own_drawing import work_out_once

from .windows import add_layers, picture

WHERE = (
    (Program, "_parse_variables_from_code"),
    (Function, "_clean_code"),
    (glir, "convert_shader"),
    (SDFRendererCPU, "render_to_texture"),
)
VERTEX = "uniform vec3 u_scale[2];\nattribute vec2 a_place; // uniform float u_none;\nvoid main() { }\n"
FRAGMENT = "uniform float u_light;\nvarying vec2 v_place;\nvoid main() { }\n"


@pytest.fixture
def anew(monkeypatch):
    """vispy as it is: other tests run with what is remembered."""
    for owner, name in WHERE:
        monkeypatch.setattr(owner, name, inspect.unwrap(getattr(owner, name)))


def variables():
    program = Program(VERTEX, FRAGMENT)
    return program._code_variables, set(program._user_variables), set(program._pending_variables)


def test_a_second_program_of_the_same_sources_has_the_same_variables(anew):
    expected = variables()
    assert "u_light" in expected[0] and "u_none" not in expected[0]
    assert work_out_once()
    assert variables() == expected
    first, second = Program(VERTEX, FRAGMENT), Program(VERTEX, FRAGMENT)
    first["u_light"] = 0.5
    first._code_variables.clear()
    assert second._code_variables == expected[0], "two programs share what they know"


def test_a_value_that_is_set_before_the_sources_are_known_is_taken(anew):
    work_out_once()
    for _ in range(2):
        program = Program()
        program["u_light"] = 0.5
        program.set_shaders(VERTEX, FRAGMENT)
        assert not program._pending_variables


def test_sources_are_cleaned_and_converted_alike(anew):
    source = "\n    void main() {\n        float a = 1.0;\n    }\n"
    expected = Function._clean_code(None, source), glir.convert_shader("es2", VERTEX)
    work_out_once()
    for _ in range(2):
        assert (Function._clean_code(None, source), glir.convert_shader("es2", VERTEX)) == expected


def test_letters_look_alike(anew):
    letters = np.random.default_rng(0).integers(0, 256, (2, 40, 30), np.uint8)
    expected = np.zeros((2, 64, 64, 3), np.uint8)
    for texture, letter in zip(expected, letters, strict=True):
        SDFRendererCPU().render_to_texture(letter, texture, (3, 5), (12, 16))
    assert (expected[0] != expected[1]).any()
    work_out_once()
    for _ in range(2):
        for texture, letter in zip(expected, letters, strict=True):
            drawn = np.zeros_like(texture)
            SDFRendererCPU().render_to_texture(letter.copy(), drawn, (3, 5), (12, 16))
            np.testing.assert_array_equal(drawn, texture)


def test_a_window_looks_alike(anew, make_napari_viewer, phantom, qtbot):
    pictures = []
    for _ in range(3):
        viewer = make_napari_viewer(show=True)
        add_layers(viewer, *phantom)
        viewer.text_overlay.visible, viewer.text_overlay.text = True, "L 30 mm"
        pictures.append(picture(viewer, qtbot))
        viewer.close()
        work_out_once()
    assert pictures[0].std() > 10
    np.testing.assert_array_equal(pictures[1], pictures[0])
    np.testing.assert_array_equal(pictures[2], pictures[0])


def test_another_vispy_is_left_alone(anew, monkeypatch):
    monkeypatch.setattr(Function, "_clean_code", lambda self, code, indent: code)
    before = [getattr(owner, name) for owner, name in WHERE]
    assert not work_out_once()
    assert [getattr(owner, name) for owner, name in WHERE] == before
