"""The user's own dictionary: a copy that is read again at once, and says where it is wrong."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.query import parse_query
from napari_ctvlp.anatomy.user_dictionary import current_dictionary, make_user_dictionary, user_dictionary_path
from napari_ctvlp.cli import main
from napari_ctvlp.errors import UserError
from napari_ctvlp.session import Rooms, Session

OWN = """\
abnormalities:
  - key: fuzzy_liver
    name: fuzzy liver
    organs: [liver]
    positive: [a, b, c, d, e]
    negative: [f, g, h, i, j]
"""


def write(text, age=0):
    path = user_dictionary_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(10**18 + age, 10**18 + age))
    return path


def test_without_a_copy_the_built_in_one_is_used():
    assert current_dictionary() is load_dictionary() and not user_dictionary_path().exists()


def test_a_copy_is_the_same_and_is_never_overwritten():
    path = make_user_dictionary()
    assert current_dictionary() == load_dictionary() and "synonyms:" in path.read_text(encoding="utf-8")
    write(OWN)
    assert make_user_dictionary() == path and len(current_dictionary()) == 1


def test_a_change_is_read_at_once():
    write(OWN)
    assert current_dictionary()[0].name == "fuzzy liver"
    assert current_dictionary() is current_dictionary()  # and not without a change
    write(OWN.replace("fuzzy liver", "furry liver"), age=1)
    assert current_dictionary()[0].name == "furry liver"
    user_dictionary_path().unlink()
    assert current_dictionary() is load_dictionary()


def test_a_broken_copy_says_where():
    write(OWN.replace("[liver]", "[lever]"))
    with pytest.raises(UserError, match=r"^abnormalities\.yaml, line 4: 'lever' is neither"):
        current_dictionary()
    write(OWN, age=1)
    assert len(current_dictionary()) == 1


def test_the_session_scores_and_answers_with_it(word_encoder, phantom):
    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(rooms=rooms)
    failures = []
    session.failed.connect(failures.append)
    session.set_scan(*phantom)
    session.ask("fuzzy liver")
    assert session.ranking.finding is None and len(session.scores) > 100
    write(OWN)
    session.dictionary_changed()
    assert session.ranking.finding.abnormality == "fuzzy_liver"
    assert {s.abnormality for s in session.scores} == {"fuzzy_liver"}
    write(OWN + "  - oops", age=1)
    session.dictionary_changed()
    assert "line 7" in str(failures[0])


def test_on_the_command_line(tmp_path, capsys):
    main(["dictionary"])
    assert f"{len(load_dictionary())} entries" in capsys.readouterr().out
    main(["dictionary", "--copy"])
    assert str(user_dictionary_path()) in capsys.readouterr().out
    (tmp_path / "own.yaml").write_text(OWN.replace("key: fuzzy_liver", "key: Fuzzy"))
    with pytest.raises(SystemExit):
        main(["dictionary", "--check", str(tmp_path / "own.yaml")])
    assert "own.yaml, line 2" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CTVLP_CONFIG_DIR", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"^abnormalities\.yaml cannot be written"):
        make_user_dictionary()


def test_dictionaries_that_were_written_over_are_forgotten():
    """Every prompt that is saved makes another, and the phrases of each take a megabyte."""
    seen = []
    for age in range(12):
        write(OWN.replace("[a,", f"[a{age},"), age)
        dictionary = current_dictionary()
        assert parse_query("fuzzy liver", dictionary).abnormalities == ("fuzzy_liver",)
        seen.append(weakref.ref(dictionary[0]))
    del dictionary
    gc.collect()
    assert seen[-1]() is not None
    assert sum(entry() is not None for entry in seen) <= 8
