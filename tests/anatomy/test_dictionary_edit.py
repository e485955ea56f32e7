"""Other prompts for one entry in a file that somebody wrote: only its lines change."""

from __future__ import annotations

import difflib
from dataclasses import replace

import pytest

from napari_ctvlp.anatomy.dictionary import BUILT_IN, parse_dictionary
from napari_ctvlp.anatomy.dictionary_edit import with_prompts
from napari_ctvlp.anatomy.user_dictionary import current_dictionary, save_prompts, user_dictionary_path
from napari_ctvlp.errors import UserError

FILE = "mine.yaml"
TEXT = """\
# my own
normal: &normal   # shared
  - "{organ} a"
  - "{organ} b"
  - "{organ} c"
  - "{organ} d"
  - "{organ} e"

abnormalities:
  # a comment about the first
  - key: first
    name: first thing
    organs: [liver]
    # what it looks like
    positive:
      - one   # plain
      # about two
      - "two"
      - 'three'
      - "four:
         folded"
      # about five
      - five
      # at the end
    negative: [*normal, "f"]  # with the shared ones
  - key: second
    name: second thing
    organs: [spleen]
    positive: &words [p, q, r, s, t]
    negative: *normal

  - {key: third, name: third thing, organs: [liver], positive: [*words, u], negative: [*normal]}
# the end
"""


def entry_of(text, key):
    return next(e for e in parse_dictionary(text, FILE) if e.key == key)


def edited(text, key, **prompts):
    """The text with other prompts, and its lines that went and came."""
    new = replace(entry_of(text, key), **{name: tuple(texts) for name, texts in prompts.items()})
    result = with_prompts(text, new, FILE)
    assert entry_of(result, key) == new
    lines = list(difflib.ndiff(text.split("\n"), result.split("\n")))
    return result, [x[2:] for x in lines if x[0] == "-"], [x[2:] for x in lines if x[0] == "+"]


def test_a_changed_prompt_changes_one_line():
    positive = ["one", "deux", "three", "four: folded", "five"]
    _, gone, come = edited(TEXT, "first", positive=positive)
    assert gone == ['      - "two"']
    assert come == ['      - "deux"']


def test_prompts_are_added_moved_and_removed_and_comments_stay():
    positive = ["six", "five", "one", "four: folded", "two", 'it\'s "quoted" here', "*star"]
    text, gone, _ = edited(TEXT, "first", positive=positive)
    for comment in ("# plain", "# about two", "# about five", "# at the end", "# what it looks like", "# the end"):
        assert comment in text
    assert "'three'" in " ".join(gone)


def test_what_is_shared_is_kept_as_shared_and_its_source_is_not_touched():
    letters = [f"{{organ}} {c}" for c in "abcde"]
    text, gone, come = edited(TEXT, "first", negative=[*letters, "f", "g"])
    assert gone == ['    negative: [*normal, "f"]  # with the shared ones']
    assert come == ["    negative:", "      - *normal", '      - "f"', '      - "g"  # with the shared ones']
    text, _, come = edited(text, "second", negative=[*letters[:4], "z"])
    assert come == ["    negative:", *(f'      - "{t}"' for t in (*letters[:4], "z"))]
    assert entry_of(text, "third").negative == tuple(letters)


def test_an_entry_on_one_line_stays_on_it():
    _, gone, come = edited(TEXT, "third", positive=["p", "q", "r", "s", "t", "v, w"])
    assert len(gone) == len(come) == 1
    assert 'positive: [*words, "v, w"]' in come[0]


def test_windows_line_ends_stay():
    text, _, come = edited(TEXT.replace("\n", "\r\n"), "first", positive=["a", "b", "c", "d", "e"])
    assert come and text.count("\n") == text.count("\r\n")


def test_unchanged_prompts_change_nothing():
    for entry in parse_dictionary(TEXT, FILE):
        assert with_prompts(TEXT, entry, FILE) == TEXT


@pytest.mark.parametrize(
    ("key", "prompts", "said"),
    [
        ("second", {"positive": ("v", "w", "x", "y", "z")}, "line 29: other entries share this list"),
        ("first", {"positive": ("a", "b", "c", "d")}, "at least 5 different prompts"),
        ("first", {"positive": ("a", "b", "c", "d", "no e")}, "is negated"),
        ("first", {"negative": ("a", "b", "c", "d", "{liver}")}, "brace"),
    ],
)
def test_what_may_not_be_is_said_with_its_line(key, prompts, said):
    with pytest.raises(UserError, match=r"mine\.yaml, line \d+") as caught:
        with_prompts(TEXT, replace(entry_of(TEXT, key), **prompts), FILE)
    assert said in str(caught.value)


def test_an_entry_that_is_not_there_is_said():
    with pytest.raises(UserError, match="no entry 'fourth'"):
        with_prompts(TEXT, replace(entry_of(TEXT, "first"), key="fourth"), FILE)


def test_every_entry_of_the_built_in_dictionary_can_be_edited():
    text = BUILT_IN.read_text(encoding="utf-8")
    entries = {e.key: e for e in parse_dictionary(text, FILE)}
    shared = []
    for key in list(entries)[::20]:
        entry = entries[key]
        new = replace(
            entry, positive=(*entry.positive[1:], "Something new."), negative=(*entry.negative, "New {organ}.")
        )
        try:
            result = with_prompts(text, new, FILE)
        except UserError as error:
            shared.append(str(error))
            continue
        assert sum(a != b for a, b in zip(text.split("\n"), result.split("\n"), strict=False)) > 0
        comments = [line for line in text.split("\n") if line.lstrip().startswith("#")]
        assert [line for line in result.split("\n") if line.lstrip().startswith("#")] == comments
    assert not shared


def test_saved_prompts_are_read_at_once_and_taken_back():
    known = current_dictionary()
    new = replace(known[3], positive=(*known[3].positive, "Stones, stones, stones."))
    path = user_dictionary_path()
    back = save_prompts(new)
    assert current_dictionary()[3] == new
    assert current_dictionary()[:3] == known[:3]
    again = save_prompts(replace(new, positive=known[3].positive[:-1]))
    back()  # somebody has changed it since
    assert path.exists()
    again()
    assert current_dictionary()[3] == new
    back()
    assert not path.exists() and current_dictionary() == known
