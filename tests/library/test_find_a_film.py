"""Finding films by what people call them."""

import unicodedata

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from talkies.core import LibraryError
from talkies.library import SCHEMA_VERSION, FilmEntry, FilmRecord, Library, Verdict
from talkies.library.lookup import match_films

ALPHA, BETA, GAMMA = "a" * 16, "ab" * 8, "c" * 16


@pytest.mark.parametrize(
    ("name", "film_id"),
    [
        (ALPHA, ALPHA),
        ("aa", ALPHA),
        ("ab", BETA),
        ("c", GAMMA),
        ("alpha.mp4", ALPHA),
        ("beta", BETA),
        ("gamma", GAMMA),
        ("/elsewhere/gamma.mkv", GAMMA),
    ],
)
def test_a_film_is_found_by_id_beginning_file_name_stem_and_path(three_films: Library, name: str, film_id: str) -> None:
    assert three_films.find(name).film_id == film_id


def test_a_file_name_is_looked_for_before_the_beginning_of_an_id(three_films: Library, commit) -> None:
    commit(three_films, "0" * 16, "/films/aa.mp4")
    assert three_films.find("aa").film_id == "0" * 16


def test_a_beginning_that_two_ids_share_is_ambiguous(three_films: Library) -> None:
    sentence = f"^'a' names 2 films of {three_films.root}; name one by its id: {ALPHA}, {BETA}$"
    with pytest.raises(LibraryError, match=sentence):
        three_films.find("a")


def test_a_file_name_that_two_films_share_is_ambiguous(three_films: Library, commit) -> None:
    commit(three_films, "d" * 16, "/another/alpha.mp4")
    sentence = f"^'alpha.mp4' names 2 films of {three_films.root}; name one by its id: {ALPHA}, {'d' * 16}$"
    with pytest.raises(LibraryError, match=sentence):
        three_films.find("alpha.mp4")
    assert three_films.find("/another/alpha.mp4").film_id == "d" * 16


def test_for_an_unknown_film_the_nearest_name_is_offered(three_films: Library) -> None:
    sentence = (
        rf"^no film 'alfa\.mp4' in {three_films.root} \(did you mean 'alpha\.mp4'\?\); "
        rf"see: talkies films --library {three_films.root}$"
    )
    with pytest.raises(LibraryError, match=sentence):
        three_films.find("alfa.mp4")


@pytest.mark.parametrize("name", ["", "zzzzzzzzzzzz"])
def test_where_none_is_near_none_is_offered(three_films: Library, name: str) -> None:
    sentence = f"^no film '{name}' in {three_films.root}; see: talkies films --library {three_films.root}$"
    with pytest.raises(LibraryError, match=sentence):
        three_films.find(name)


def test_usable_films_are_the_accepted_ones_in_the_order_of_their_ids(three_films: Library) -> None:
    assert [film.film_id for film in three_films.usable_films()] == [ALPHA, BETA]
    assert [film.film_id for film in three_films.films()] == [ALPHA, BETA, GAMMA]


def test_a_library_without_a_usable_film_says_where_to_look(empty_library: Library, commit) -> None:
    commit(empty_library, "e" * 16, verdict=Verdict.REJECTED)
    root = empty_library.root
    with pytest.raises(LibraryError, match=f"^{root} holds no accepted film; see: talkies films --library {root}$"):
        empty_library.usable_films()


NFC, NFD = "Am\u00e9lie \u00fcber.mp4", "Ame\u0301lie u\u0308ber.mp4"


@pytest.mark.parametrize(("stored", "typed"), [(NFC, NFD), (NFD, NFC)])
def test_how_a_letter_is_encoded_does_not_matter(empty_library: Library, commit, stored: str, typed: str) -> None:
    commit(empty_library, ALPHA, f"/films/{stored}")
    for name in (typed, typed.removesuffix(".mp4"), f"/films/{typed}"):
        assert empty_library.find(name).film_id == ALPHA


def test_two_names_that_are_equal_in_nfc_are_ambiguous_and_a_path_as_it_is_decides(
    empty_library: Library, commit
) -> None:
    commit(empty_library, ALPHA, f"/films/{NFC}")
    commit(empty_library, BETA, f"/films/{NFD}")
    for name in (NFC, NFD):
        with pytest.raises(LibraryError, match=f"names 2 films of .*; name one by its id: {ALPHA}, {BETA}$"):
            empty_library.find(name)
    assert empty_library.find(f"/films/{NFC}").film_id == ALPHA
    assert empty_library.find(f"/films/{NFD}").film_id == BETA


def test_a_name_that_is_not_utf8_is_found_by_its_bytes_and_as_it_is_shown(empty_library: Library, commit) -> None:
    commit(empty_library, ALPHA, r"/films/caf\xe9.mp4")
    commit(empty_library, BETA, r"/films/caf\xe8.mp4")
    for name in ("caf\udce9.mp4", "caf\udce9", "/films/caf\udce9.mp4", r"caf\xe9.mp4"):
        assert empty_library.find(name).film_id == ALPHA


def test_a_library_of_an_earlier_version_has_question_marks_for_such_bytes(empty_library: Library, commit) -> None:
    commit(empty_library, ALPHA, "/films/caf\N{REPLACEMENT CHARACTER}.mp4")
    assert empty_library.find("caf\udce9.mp4").film_id == ALPHA


def test_a_path_that_the_shell_completed_is_found(
    empty_library: Library, commit, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(empty_library, ALPHA, f"{tmp_path}/films/alpha.mp4")
    monkeypatch.chdir(tmp_path)
    for name in ("films/alpha.mp4", "./films/alpha.mp4", "lib/../films/alpha.mp4"):
        assert empty_library.find(name).film_id == ALPHA


def test_a_film_is_found_by_a_name_that_it_had_before_unless_another_has_it_now(empty_library: Library, commit) -> None:
    record = commit(empty_library, ALPHA, "/films/present.mp4")
    empty_library.replace_record(record.model_copy(update={"other_sources": ("/films/former.mp4",)}))
    for update in (False, True):
        if update:
            empty_library.update_catalogue()
        assert empty_library.find("former.mp4").film_id == ALPHA
        assert empty_library.find("present").film_id == ALPHA
        assert empty_library.films()[0].other_sources == ("/films/former.mp4",)
    commit(empty_library, BETA, "/films/former.mp4")
    assert empty_library.find("former.mp4").film_id == BETA


def test_a_name_that_is_not_found_is_shown_without_control_characters(three_films: Library) -> None:
    with pytest.raises(LibraryError, match=r"no film 'a\\x1b\[31m\\x0a\\u202e' in "):
        three_films.find("a\x1b[31m\n\u202e")


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_film_is_called_it_is_found_in_either_form(three_films: Library, name: str) -> None:
    films = [
        FilmEntry.of(FilmRecord(film_id="f" * 16, source=f"/f/{name}.mkv", source_bytes=1, verdict=Verdict.ACCEPTED))
    ]
    for form in ("NFC", "NFD"):
        assert match_films(films, unicodedata.normalize(form, f"{name}.mkv")) == films


def test_instead_of_a_table_of_an_earlier_version_without_other_names_the_records_are_read(
    three_films: Library,
) -> None:
    expected, path = three_films.films(), three_films.root / "catalogue" / "films.parquet"
    table = pq.read_table(path).drop_columns(["other_sources_json"])
    pq.write_table(table.replace_schema_metadata({"schema_version": "2"}), path)
    assert three_films.films() == expected
    three_films.update_catalogue()
    assert "other_sources_json" in pq.read_table(path).column_names
    assert three_films.films() == expected


def test_an_older_record_that_is_replaced_is_one_of_this_version(empty_library: Library, commit) -> None:
    """Otherwise an older talkies would call it damaged, because it has fields that it does not know."""
    record = commit(empty_library, ALPHA)
    older = record.model_copy(update={"schema_version": 2, "other_sources": ("/films/former.mp4",)})
    empty_library.replace_record(older)
    stored = empty_library.record_of(ALPHA)
    assert stored == older.model_copy(update={"schema_version": SCHEMA_VERSION})
