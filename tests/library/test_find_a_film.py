"""Finding films by what people call them."""

import pytest

from talkies.core import LibraryError
from talkies.library import Library, Verdict

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
