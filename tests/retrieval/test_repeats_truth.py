"""Films in which a scene, a piece of music and a whole film repeat at known times: they are found, and nothing else."""

from pathlib import Path

import pytest
from spliced_films import FPS, LOW, RATE_HZ, render_pictures, render_sound, write_film

from talkies.ingestion import ingest
from talkies.retrieval.index import embed
from talkies.retrieval.recurrence.repeats import LibraryRepeats, find_repeats

SCENE, MUSIC = (1000, 8.0), (2000, 10.0)
TRIM_SECONDS = 9.5


@pytest.fixture(scope="module")
def found(run: Path, tmp_path_factory: pytest.TempPathFactory) -> LibraryRepeats:
    """What comes back in four films.

    `one`: the scene from 12.5 s and 32.5 s on, the music from 6.5 s and 30.5 s on; `two`: the scene from 10 s, the
    music from 15.5 s on; `three`: nothing; `copy`: of `three` from `TRIM_SECONDS` on, cropped and encoded badly.
    """
    folder = tmp_path_factory.mktemp("pieced")
    films = folder / "films"
    films.mkdir()
    one = render_pictures([(1, 12.5), SCENE, (2, 12.0), SCENE, (3, 4.5)])
    write_film(films / "one.mp4", one, render_sound([(11, 6.5), MUSIC, (12, 14.0), MUSIC, (13, 4.5)]))
    write_film(
        films / "two.mp4", render_pictures([(4, 10.0), SCENE, (5, 12.0)]), render_sound([(14, 15.5), MUSIC, (15, 4.5)])
    )
    three, heard = render_pictures([(6, 32.0)]), render_sound([(16, 32.0)])
    write_film(films / "three.mp4", three, heard)
    first = int(TRIM_SECONDS * FPS)
    cropped = [picture[2:-2, 4:-4] for picture in three[first:]]
    write_film(films / "copy.mp4", cropped, heard[first * RATE_HZ // FPS :], LOW)
    library = ingest([films], folder / "lib").library
    embed(library.root, run, stride_seconds=0.5)
    return find_repeats(library.root)


def test_the_scene_and_the_music_are_found_within_and_across_films_and_nothing_else(found: LibraryRepeats) -> None:
    (scene,), (music,) = (found.repeats.by_modality[side].families for side in ("video", "audio"))
    names = {film_id: film.name for film_id, film in found.repeats.films.items()}
    for family, seconds, times in ((scene, 8.0, {12.5, 32.5, 10.0}), (music, 10.0, {6.5, 30.5, 15.5})):
        assert [names[place.film_id] for place in family.spans].count("one.mp4") == 2
        for place in family.spans:
            (start,) = (time for time in times if abs(time - place.start_seconds) <= 0.5)
            assert place.end_seconds == pytest.approx(start + seconds, abs=0.5)
            times.discard(start)
        assert not times


def test_a_trimmed_cropped_and_badly_encoded_copy_is_found_by_both_modalities_at_its_offset(
    found: LibraryRepeats,
) -> None:
    (same,) = found.repeats.duplicates
    assert sorted(same.modalities) == ["audio", "video"]
    names = [found.repeats.films[place.film_id].name for place in (same.first, same.second)]
    offset = -TRIM_SECONDS if names == ["three.mp4", "copy.mp4"] else TRIM_SECONDS
    assert sorted(names) == ["copy.mp4", "three.mp4"]
    assert same.offset_seconds == pytest.approx(offset, abs=0.1)
    shares = dict(zip(names, (same.first_share, same.second_share), strict=True))
    assert shares["copy.mp4"] > 0.9
    assert shares["three.mp4"] == pytest.approx(22.5 / 32, abs=0.05)


def test_match_cuts_are_of_films_that_no_other_holds_and_keep_to_their_shots(found: LibraryRepeats) -> None:
    cuts = found.repeats.match_cuts
    assert cuts
    assert "copy.mp4" not in {found.repeats.films[cut.end.film_id].name for cut in cuts}
    for cut in cuts:
        for place in (cut.end, cut.beginning):
            shots = found.repeats.films[place.film_id].spans["shot"]
            assert any(begin <= place.start_seconds and place.end_seconds <= end for begin, end in shots)
