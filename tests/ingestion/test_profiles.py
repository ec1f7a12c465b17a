"""Libraries of every profile: the same films, the same annotations, and the whole road at `standard`."""

import os
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from talkies.clips import ClipSource, examine
from talkies.core import MODALITIES, ClipRequest, ConfigError, Span, UsageError
from talkies.ingestion import IngestConfig, ingest
from talkies.library import PROFILES, Library, Profile, ProfileChoice
from talkies.retrieval.index import embed
from talkies.retrieval.search import Moment, SearchQuery, search
from talkies.runs import load_encoder
from talkies.synth import SynthConfig, render_films
from talkies.training import RunConfig, pretrain
from talkies.transforms import ClipTransform

pytestmark = pytest.mark.slow
SOAK = pytest.mark.skipif(os.environ.get("TALKIES_SOAK") != "1", reason="make soak walks the road at `full` too")


@pytest.fixture(scope="module")
def wide_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two films of eight seconds whose pictures are smaller than those of most profiles."""
    folder = tmp_path_factory.mktemp("wide")
    render_films(folder, 2, SynthConfig(seconds=8.0, width=192, height=108, shot_seconds_min=2.0), seed=3)
    return folder


@pytest.fixture(scope="module")
def libraries(wide_films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Library]:
    """A library of them for each profile with a name; read only."""
    root = tmp_path_factory.mktemp("libraries")
    return {name: ingest([wide_films], root / name, profile=name).library for name in PROFILES}


@pytest.mark.parametrize("name", PROFILES)
def test_proxies_and_sound_are_what_the_profile_says(name: str, libraries: dict[str, Library]) -> None:
    profile, library = PROFILES[name], libraries[name]
    assert library.profile == Library.open(library.root).profile == profile
    for film in library.usable_films():
        assert film.frames == 8 * profile.fps
        assert library.audio_path(film.id).stat().st_size == 44 + 2 * 8 * profile.audio_rate_hz
        with av.open(str(library.proxy_path(film.id))) as proxy:
            (video,), (audio,) = proxy.streams.video, proxy.streams.audio
            assert (min(video.width, video.height), video.average_rate) == (profile.short_side, profile.fps)
            assert audio.rate == profile.audio_rate_hz
            keys = [packet.pts * packet.time_base for packet in proxy.demux(video) if packet.is_keyframe]
        assert keys == list(range(8))  # one a second


@pytest.mark.parametrize("name", ["standard", "large", "full"])
def test_shots_and_annotations_are_at_the_same_times_in_each(name: str, libraries: dict[str, Library]) -> None:
    small, other = libraries["small"], libraries[name]
    ratio = other.profile.fps // small.profile.fps
    for film in small.usable_films():
        wanted, found = small.annotations_of(film.id), other.annotations_of(film.id)
        assert {kind: len(spans) for kind, spans in found.items()} == {k: len(spans) for k, spans in wanted.items()}
        for kind, spans in wanted.items():
            for before, after in zip(spans, found[kind], strict=True):
                assert abs(before.start_frame * ratio - after.start_frame) <= ratio
                assert abs(before.end_frame * ratio - after.end_frame) <= ratio
        assert other.record_of(film.id).bars == small.record_of(film.id).bars == ()


@pytest.mark.parametrize("name", ["standard", pytest.param("full", marks=SOAK)])
def test_the_whole_road_goes_through_any_profile(
    name: str, libraries: dict[str, Library], two_steps: Callable[..., RunConfig], tmp_path: Path
) -> None:
    library, config = libraries[name], two_steps("sampling.clips_per_film=4")
    report = examine(library.root, config.clip, 1)
    report.check()
    assert len(report.comparisons) > 4
    assert {comparison.frames_off for comparison in report.comparisons} <= {0, None}

    run = pretrain(library.root, config, tmp_path / "run").run
    assert load_encoder(run).profile == PROFILES[name]
    embedded = embed(library.root, run)
    assert (embedded.films, embedded.clips > 10) == (2, True)
    first = library.usable_films()[0]
    for modality in MODALITIES:
        query = SearchQuery(Moment(first.film_id, 2.0), modality, modality, 3, use_threshold=False)
        assert len(search(library.root, query, run).hits) > 0


def test_spectrograms_have_as_many_frames_at_any_rate(
    libraries: dict[str, Library], two_steps: Callable[..., RunConfig]
) -> None:
    config, shapes = two_steps(), {}
    for name, library in libraries.items():
        shape = config.clip.to_shape(library.profile.fps)
        request = ClipRequest(library.usable_films()[0].id, Span(0, shape.window_frames))
        batch = ClipSource(library, shape).read_batch([request])
        assert batch.video_BTPW.shape[-1] == library.profile.short_side
        ready = ClipTransform(config.transforms, library.profile.audio_rate_hz).eval()(batch)
        shapes[name] = (ready.video_BCTHW.shape, ready.audio_B1FL.shape)
    assert len(set(shapes.values())) == 1


def test_a_name_and_values_of_the_config_make_one_profile(wide_films: Path, tmp_path: Path) -> None:
    config = IngestConfig(profile=ProfileChoice(short_side=64))
    films = [wide_films / "film-000.mp4"]
    wanted = Profile(short_side=64, audio_rate_hz=48_000)
    assert ingest(films, tmp_path / "lib", profile="standard", config=config).library.profile == wanted
    assert ingest(films, tmp_path / "lib", profile=wanted).library.profile == wanted
    assert ingest(films, tmp_path / "lib").library.profile == wanted
    with pytest.raises(
        UsageError, match=r"lib keeps the profile that it was begun with, 64 px, 16 fps, 48 kHz, and not"
    ):
        ingest(films, tmp_path / "lib", profile="standard")


def test_without_such_a_profile_nothing_is_begun(wide_films: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^no profile 'huge'; there are: small, standard, large, full"):
        ingest([wide_films], tmp_path / "lib", profile="huge")
    assert not (tmp_path / "lib").exists()
