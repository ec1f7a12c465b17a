"""Composed films: a function of their number and their files, marked as told, and true to `truth.json`."""

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from composed_files import FPS, RATE, write_background, write_clip, write_materials, write_noise, write_tone

from talkies.core import MediaError, UsageError
from talkies.evaluation.film_tasks.concepts import read_truth
from talkies.synth import (
    ComposedConfig,
    Materials,
    check_disjoint,
    generate_composed_script,
    render_composed_film,
    render_composed_films,
)
from talkies.synth.composed.backgrounds import Background
from talkies.synth.composed.decoded import decode_materials
from talkies.synth.composed.disjoint import check_disjoint_scripts
from talkies.synth.composed.grading import Grader, make_lut
from talkies.synth.composed.painter import ComposedPainter
from talkies.synth.composed.soundtrack import compose_layers

CONFIG = ComposedConfig(seconds=8.0, fps=FPS, width=48, height=32, audio_rate_hz=RATE, stretch_seconds=3.0)


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """Two classes of noise and two backgrounds."""
    return write_materials(tmp_path_factory.mktemp("materials"))


@pytest.fixture(scope="module")
def composed(materials: Materials, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two composed films; read only."""
    return render_composed_films(tmp_path_factory.mktemp("composed"), 2, CONFIG, materials, seed=4).folder


def list_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def compute_rms(sound: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(sound).mean()))


def paint_all(script: object, folder: Path) -> npt.NDArray[np.int64]:
    with decode_materials(folder, [script], 1) as decoded:
        background = Background(decoded, script.background, RATE // FPS) if script.config.mark_strength else None
        painter = ComposedPainter(script, background)
        return np.stack([painter.paint(f, s) for s in script.shots for f in range(s.start_frame, s.end_frame)]).astype(
            int
        )


def test_a_film_depends_on_its_number_and_films_that_exist_are_kept(
    composed: Path, materials: Materials, tmp_path: Path
) -> None:
    first = render_composed_films(tmp_path, 1, CONFIG, materials, seed=4)
    before = (tmp_path / "film-000.mp4").stat().st_mtime_ns
    seen: list[Path] = []
    again = render_composed_films(tmp_path, 2, CONFIG, materials, seed=4, on_film=seen.append)
    assert (first.reused, again.reused, len(seen)) == (0, 1, 2)
    assert (tmp_path / "film-000.mp4").stat().st_mtime_ns == before
    assert list_files(tmp_path) == list_files(composed)
    other = CONFIG.model_copy(update={"theme_db": -6.0})
    with pytest.raises(UsageError, match=r"film-000\.mp4 exists and is not of this script; name an empty folder"):
        render_composed_films(tmp_path, 1, other, materials, seed=4)


def test_a_recording_of_other_content_makes_another_film(composed: Path, materials: Materials, tmp_path: Path) -> None:
    changed = [[write_noise(tmp_path / f"{path.name}", 99, 1.0) for path in paths] for paths in materials.sounds]
    other = Materials(materials.classes, tuple(map(tuple, changed)), (), materials.backgrounds)
    with pytest.raises(UsageError, match="is not of this script"):
        render_composed_films(composed, 1, CONFIG, other, seed=4)


def test_the_truth_names_each_shots_recording_and_each_films_background(composed: Path, materials: Materials) -> None:
    document = json.loads((composed / "truth.json").read_text())
    assert document["concepts"] == list(materials.classes)
    known = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for paths in materials.sounds for path in paths}
    titles = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in materials.backgrounds}
    for film in document["films"]:
        background = film["background"]
        assert titles[background["title"]] == background["sha256"]
        assert 0 <= background["start_seconds"] < background["end_seconds"] <= 6.0
        assert background["end_seconds"] - background["start_seconds"] == CONFIG.stretch_seconds
        assert film["lut_seed"] == film["script"]["grade"]["lut_seed"]
        for shot in film["shots"]:
            assert known[shot["recording"]] == shot["recording_sha256"]
            assert materials.sounds[shot["concept"]][0].name.split("-")[0] == shot["recording"].split("-")[0]
            assert shot["concept_name"] == materials.classes[shot["concept"]]
            assert (shot["clip"], shot["clip_sha256"]) == (None, None)
    assert len({film["lut_seed"] for film in document["films"]}) == 2
    truth = read_truth(composed)
    assert [film.file for film in truth.films] == ["film-000.mp4", "film-001.mp4"]
    for film in truth.films:
        assert (film.shots[0].start_seconds, film.shots[-1].end_seconds) == (0.0, 8.0)


@pytest.mark.parametrize("theme_db", [-12.0, -3.0])
@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
def test_the_theme_has_the_stated_level_and_no_marks_are_plain_grey(
    materials: Materials, tmp_path: Path, theme_db: float, strength: float
) -> None:
    config = CONFIG.model_copy(update={"theme_db": theme_db, "mark_strength": strength})
    script = generate_composed_script("film", 5, config, materials)
    with decode_materials(tmp_path, [script], 1) as decoded:
        background = Background(decoded, script.background, RATE // FPS) if strength else None
        foreground_S, theme_S = compose_layers(decoded, script, background)
    assert len(foreground_S) == len(theme_S) == 8 * RATE
    if strength:
        level = 20 * np.log10(compute_rms(theme_S) / compute_rms(foreground_S))
        assert level == pytest.approx(theme_db + 20 * np.log10(strength), abs=0.01)
    else:
        assert not theme_S.any()
        pictures = paint_all(script, tmp_path)
        corners = pictures[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.ptp(corners, axis=(1, 2)).max() == 0  # one grey in all corners of a picture


def test_the_background_moves_and_turns_back_at_the_end_of_its_stretch(materials: Materials, tmp_path: Path) -> None:
    script = generate_composed_script("film", 6, CONFIG, materials)
    assert script.background is not None
    frames = script.background.end_frame - script.background.start_frame
    assert frames == 24
    with decode_materials(tmp_path, [script], 1) as decoded:
        background = Background(decoded, script.background, RATE // FPS)
        pictures = np.stack([background.read_picture(frame) for frame in range(64)]).astype(int)
        sound = background.read_sound(8 * RATE)
    moved = np.abs(np.diff(pictures[:frames], axis=0)).mean(axis=(1, 2, 3))
    assert moved.min() > 5
    assert np.array_equal(pictures[:24], pictures[47:23:-1])
    assert np.array_equal(pictures[:16], pictures[48:])
    assert np.array_equal(sound[: 3 * RATE], sound[3 * RATE : 6 * RATE][::-1])


def test_each_film_has_a_grade_of_its_own_and_its_strength_scales_it(materials: Materials) -> None:
    scripts = [
        generate_composed_script("film", seed, CONFIG.model_copy(update={"mark_strength": strength}), materials)
        for seed, strength in ((1, 1.0), (2, 1.0), (1, 0.5))
    ]
    grey = np.full((32, 48, 3), 110, np.float32)
    centre = [np.mean([Grader(s).apply(grey, f)[12:20, 16:32] for f in range(8)], (0, 1, 2)) for s in scripts]
    assert np.abs(centre[0] - centre[1]).max() > 5
    assert np.abs((centre[0] - 110) / 2 - (centre[2] - 110)).max() < 3  # grain and vignette are weaker too
    first = next(s for s in scripts if round(s.grade.letterbox * 32))
    assert not Grader(first).apply(grey, 0)[0].any()
    assert len({make_lut(seed).tobytes() for seed in range(8)}) == 8


def test_the_lookup_table_is_trilinear_between_its_nodes(materials: Materials) -> None:
    plain = generate_composed_script("film", 3, CONFIG, materials)
    grade = plain.grade.model_copy(update={"grain": 0.0, "vignette": 0.0, "letterbox": 0.0})
    grader, nodes = Grader(plain.model_copy(update={"grade": grade})), make_lut(grade.lut_seed)
    colours = np.random.default_rng(0).integers(0, 256, (32, 48, 3))
    at = colours / 255 * 8
    low = np.minimum(at.astype(int), 7)
    expected = colours.astype(float)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner) == 1, at - low, 1 - (at - low)), axis=-1)
        expected += weight[..., None] * nodes[tuple(np.moveaxis(low + corner, -1, 0))]
    found = grader.apply(colours.astype(np.float32), 0)
    assert np.abs(found - np.clip(expected, 0, 255)).max() < 3  # an entry is up to two levels away


@pytest.mark.parametrize("classes", [17, 50, 200])
def test_classes_that_share_a_motion_look_different(classes: int, tmp_path: Path) -> None:
    path = write_noise(tmp_path / "noise.wav", 0, 1.0)
    config = CONFIG.model_copy(update={"mark_strength": 0.0, "characters": 1, "width": 96, "height": 96})
    materials = Materials(tuple(map(str, range(classes))), ((path,),) * classes)
    script = generate_composed_script("film", 3, config, materials)
    painter, shot = ComposedPainter(script, None), script.shots[0]
    pictures = [
        painter.paint(shot.start_frame, shot.model_copy(update={"concept": concept})).astype(int)
        for concept in range(shot.concept % 16, classes, 16)
    ]
    apart = [np.abs(one - other).mean() for n, one in enumerate(pictures) for other in pictures[:n]]
    assert len(pictures) >= (2 if shot.concept % 16 == 0 else classes // 16)
    assert not apart or min(apart) > 0.5


def test_consecutive_shots_are_at_different_places(materials: Materials) -> None:
    for seed in range(10):
        shots = generate_composed_script("film", seed, CONFIG, materials).shots
        assert all(one.place != other.place for one, other in pairwise(shots))


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_clip_is_shown_and_heard_in_sync_and_repeated(share: float, tmp_path: Path) -> None:
    clips = (write_clip(tmp_path / "clip.mp4"),)
    materials = Materials(("one", "two"), (), (clips, clips), (write_background(tmp_path / "waves.mp4", 3),))
    config = CONFIG.model_copy(update={"theme_db": -40.0, "clip_share": share})
    script = generate_composed_script("film", 8, config, materials)
    assert {shot.event_seconds for shot in script.shots} == {()}
    render_composed_film(tmp_path / "film.mp4", script)
    with av.open(str(tmp_path / "film.mp4")) as container:
        pictures = [frame.to_ndarray()[12:20, 20:28].mean() for frame in container.decode(container.streams.video[0])]
    with av.open(str(tmp_path / "film.mp4")) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(container.streams.audio[0])])
    loud = np.array([compute_rms(part) for part in sound[: 64 * RATE // FPS].reshape(64, -1)])
    expected = [(int(s.clip_at * 16) + f - s.start_frame) % 4 == 0 for s in script.shots for f in range(*_frames(s))]
    assert ((np.array(pictures) > 128) == expected).all()
    assert ((loud > 0.05) == expected).all()


def _frames(shot: object) -> tuple[int, int]:
    return shot.start_frame, shot.end_frame


def test_a_class_with_recordings_is_heard_as_them_whatever_its_clips_sound_like(tmp_path: Path) -> None:
    clips, tone = (write_clip(tmp_path / "clip.mp4"),), (write_tone(tmp_path / "tone.wav", 400),)
    materials = Materials(("one", "two"), (tone, ()), (clips, clips))
    config = CONFIG.model_copy(update={"mark_strength": 0.0})
    script = generate_composed_script("film", 8, config, materials)
    with decode_materials(tmp_path, [script], 1) as decoded:
        foreground_S, _ = compose_layers(decoded, script, None)
    assert {shot.concept for shot in script.shots} == {0, 1}
    for shot in script.shots:
        part = foreground_S[shot.start_frame * RATE // FPS : shot.end_frame * RATE // FPS]
        loudest_hz = np.abs(np.fft.rfft(part)).argmax() * RATE / len(part)
        assert loudest_hz == pytest.approx(400 if shot.concept == 0 else 1_000, abs=12)
        assert (compute_rms(part.reshape(-1, RATE // FPS)[0]) > 0.05) == (shot.concept == 0 or part[:1_000].any())


def test_a_silent_stretch_gives_no_theme_and_the_report_says_so(materials: Materials, tmp_path: Path) -> None:
    silent = write_background(tmp_path / "silent.mp4", 3, is_silent=True)
    (tmp_path / "films").mkdir()
    mute = Materials(materials.classes, materials.sounds, (), (silent,))
    report = render_composed_films(tmp_path / "films", 1, CONFIG, mute)
    assert report.without_theme == report.films
    assert sorted(list_files(tmp_path / "films")) == ["film-000.mp4", "truth.json"]


def with_other(root: Path, case: str, materials: Materials) -> Materials:
    """Return materials that share nothing with others, but what the case says."""
    sounds = [(write_noise(root / f"other-{n}.wav", 50 + n, 1.0),) for n in range(2)]
    backgrounds = (write_background(root / "desert.mp4", 9),)
    if case == "recording":
        copies = [root / f"renamed-{path.name}" for path in materials.sounds[0]]
        for copy, path in zip(copies, materials.sounds[0], strict=True):
            copy.write_bytes(path.read_bytes())
        sounds[0] = tuple(copies)
    elif case == "recording as a clip":
        return Materials(materials.classes, tuple(sounds), materials.sounds, backgrounds)
    elif case == "content of a background":
        copy = root / "something else.mp4"
        copy.write_bytes(materials.backgrounds[0].read_bytes())
        backgrounds = (copy,)
    elif case == "title of a background":
        backgrounds = (write_background(root / "Waves (director's cut).mp4", 9),)
    return Materials(materials.classes, tuple(sounds), (), backgrounds)


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("nothing", None),
        ("recording", r"^the file \S*0-\d\.wav is in the films of a and of b; render one side from other files$"),
        ("recording as a clip", r"^the file \S+ is in the films of a and of b; render one side from other files$"),
        ("content of a background", r"^the background waves is in the films of a and of b; render one side"),
        (
            "title of a background",
            r"^the backgrounds waves and Waves \(director's cut\) of the films of a .+ same title",
        ),
    ],
)
def test_two_sides_are_disjoint_by_content_and_backgrounds_by_title_too(
    materials: Materials, tmp_path: Path, case: str, sentence: str | None
) -> None:
    seen = Materials(materials.classes, materials.sounds, (), materials.backgrounds[:1])
    unseen = with_other(tmp_path, case, materials)
    sides = [
        [generate_composed_script("film", seed, CONFIG, files) for seed in seeds]
        for files, seeds in ((seen, range(3)), (unseen, range(3, 6)))
    ]
    if sentence is None:
        check_disjoint_scripts(sides[0], sides[1], Path("a"), Path("b"))
    else:
        with pytest.raises(UsageError, match=sentence):
            check_disjoint_scripts(sides[0], sides[1], Path("a"), Path("b"))


def test_folders_are_compared_by_their_truth(composed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"^the file \S+ is in the films of {composed} and of {composed}; render one"):
        check_disjoint(composed, composed)
    with pytest.raises(UsageError, match=rf"^{tmp_path} has no truth of composed films \(truth\.json is missing or of"):
        check_disjoint(composed, tmp_path)


def test_materials_that_do_not_suffice_are_refused(tmp_path: Path) -> None:
    noise, silence = write_noise(tmp_path / "noise.wav", 0, 1.0), write_tone(tmp_path / "silence.wav", 0)
    mute, wave = write_clip(tmp_path / "mute.mp4", is_silent=True), write_background(tmp_path / "short.mp4", 1, 1.0)
    names, grey = ("one", "two"), CONFIG.model_copy(update={"mark_strength": 0.0})
    cases = [
        (Materials(("one",), ((noise,),)), grey, "at least two classes of different names, got 1; name more"),
        (Materials(("one", "one"), ((noise,),) * 2), grey, "at least two classes of different names, got 2"),
        (Materials(names, ((noise,),)), grey, "the sounds of composed films .+ got 1 lists for 2 classes"),
        (Materials(names, ((noise,), ())), grey, "class 'two' of the composed films has no sounds and no clips"),
        (Materials(names, ((noise,),) * 2), CONFIG, "composed films need a film as background; name one, or set"),
        (Materials(names, ((noise,),) * 2, (), (wave,)), CONFIG, r"short\.mp4 lasts 1\.0 s, and a background at least"),
        (Materials(names, ((noise,),) * 2, (), (noise,)), CONFIG, r"noise\.wav has no pictures to be a background"),
        (Materials(names, ((silence,),) * 2), grey, r"silence\.wav is silent, and each shot must be heard"),
        (Materials(names, (), ((mute,),) * 2), grey, r"mute\.mp4 has no sound, and its class has no recordings"),
        (Materials(names, ((noise,),) * 2, ((noise,),) * 2), grey, r"noise\.wav has no pictures; take it out of the a"),
    ]
    for number, (some, config, sentence) in enumerate(cases):
        with pytest.raises((UsageError, MediaError), match=sentence):
            render_composed_films(tmp_path / str(number), 1, config, some)
        left = list_files(tmp_path / str(number)) if (tmp_path / str(number)).is_dir() else {}
        assert set(left) <= {"truth.json"}
    with pytest.raises(ValueError, match="audio_rate_hz must be a multiple of fps, got 16000 and 24"):
        ComposedConfig(fps=24, audio_rate_hz=16_000 + 0)
