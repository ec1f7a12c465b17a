"""Films whose concepts sound like recordings."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from talkies.core import Grid, UsageError
from talkies.media import decode_file
from talkies.synth import SynthConfig, generate_script, render_films
from talkies.synth.soundtrack import compose_soundtrack

RATE = 16_000
SHORT = SynthConfig(seconds=12, fps=8, width=32, height=32, audio_rate_hz=RATE, concepts_per_film=2, mark_strength=0)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, ...], ...]:
    """Two classes of one and two tones, of a second each."""
    root, seconds = tmp_path_factory.mktemp("tones"), np.arange(RATE) / RATE
    classes = ((300,), (1200, 2400))
    for hz in (300, 1200, 2400):
        wavfile.write(root / f"{hz}.wav", RATE, (8_000 * np.sin(2 * np.pi * hz * seconds)).astype(np.int16))
    return tuple(tuple(str(root / f"{hz}.wav") for hz in of_class) for of_class in classes)


def test_each_shot_sounds_like_a_recording_of_its_class(tones: tuple[tuple[str, ...], ...]) -> None:
    script = generate_script("film", 3, SHORT, tones)
    sound_N = compose_soundtrack(script)
    assert {shot.concept for shot in script.shots} == {0, 1}
    for shot in script.shots:
        assert shot.recording in tones[shot.concept]
        heard_N = sound_N[shot.start_frame * RATE // 8 : shot.end_frame * RATE // 8].astype(float)
        power_F = np.abs(np.fft.rfft(heard_N)) ** 2
        loudest_hz = np.fft.rfftfreq(len(heard_N), 1 / RATE)[power_F.argmax()]
        assert abs(loudest_hz - float(Path(str(shot.recording)).stem)) < 2


def test_the_script_tells_all_and_the_same_files_give_the_same_film(tones: tuple[tuple[str, ...], ...]) -> None:
    one, other = (generate_script("film", 3, SHORT, tones) for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(compose_soundtrack(one), compose_soundtrack(other))
    plain = generate_script("film", 3, SHORT)
    assert all(shot.recording is None for shot in plain.shots)
    assert len({shot.recording_at for shot in one.shots}) == len(one.shots)


def test_a_rendered_film_of_recordings_is_known_again(tmp_path: Path, tones: tuple[tuple[str, ...], ...]) -> None:
    config = SHORT.model_copy(update={"seconds": 4.0})
    report = render_films(tmp_path / "films", 1, config, recordings=tones)
    assert render_films(tmp_path / "films", 1, config, recordings=tones).reused == 1
    assert decode_file(report.films[0], "audio", Grid(1, RATE), 0).audio_S is not None
    with pytest.raises(UsageError, match="not of this script"):
        render_films(tmp_path / "films", 1, config)


@pytest.mark.parametrize(
    ("classes", "concepts", "words"),
    [(1, 2, "need 2 to 16 classes of them, got 1"), (17, 2, "got 17"), (3, 2, "class 2 of the recordings")],
)
def test_recordings_that_do_not_fit_are_refused(classes: int, concepts: int, words: str) -> None:
    recordings = [["a.wav"]] * classes if classes != 3 else [["a.wav"], ["b.wav"], []]
    with pytest.raises(UsageError, match=words):
        generate_script("film", 0, SHORT.model_copy(update={"concepts_per_film": concepts}), recordings)
