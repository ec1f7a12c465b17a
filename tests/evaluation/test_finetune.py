"""Fine-tuning: it learns, all randomness follows from the seed, and the given encoder is left unchanged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_clips import (
    FPS,
    RATE_HZ,
    data_of,
    noise_sound,
    statistics_features,
    tiny_features,
    tone,
    write_film,
    write_sound,
)

from talkies.clips.clip_files import ClipFile
from talkies.core import ModalityChoice, UsageError
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.results.result import Result
from talkies.evaluation.transfer.features import TowerFeatures
from talkies.evaluation.transfer.finetune import FineTuner
from talkies.evaluation.transfer.protocol import Protocol, resolve_protocol
from talkies.evaluation.transfer.transfer import measure_transfer
from talkies.models import compute_model_stamp

pytestmark = pytest.mark.slow

CLASSES, EACH = 3, 6
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def protocol(*more: str, epochs: int = 6) -> Protocol:
    quick = ("clips=2", "baselines=false", f"finetune.epochs={epochs}", "finetune.batch_clips=4")
    rate = ("finetune.optimiser.learning_rate=0.003", "finetune.optimiser.warmup_steps=0")
    return resolve_protocol("finetune-audio", [*quick, *rate, *more])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films each class of which has its own colour, and sounds each class of which has its own pitch; read only."""
    root = tmp_path_factory.mktemp("planted")
    for label, colour in enumerate(COLOURS):
        for take in range(EACH):
            seed = label * EACH + take
            random = np.random.default_rng(seed)
            pictures = np.array(colour) + random.integers(-40, 41, (FPS, 32, 32, 3))
            sound = tone(300 * 2**label, 1.0, take / EACH) + noise_sound(seed, RATE_HZ, level=300)
            write_film(root / f"{label}-{take}.avi", pictures.astype(np.uint8), sound)
            write_sound(root / f"{label}-{take}.wav", sound)
    return root


def data(root: Path, modality: ModalityChoice) -> DataSet:
    suffix = "wav" if modality == "audio" else "avi"
    clips = [(f"{label}-{take}.{suffix}", label) for take in range(EACH) for label in range(CLASSES)]
    return data_of(root, modality, clips, tested=2 * CLASSES)


def tuned(root: Path, modality: ModalityChoice, *more: str, epochs: int = 6) -> Result:
    return measure_transfer(data(root, modality), [tiny_features()], protocol(*more, epochs=epochs))


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_classes_of_colour_and_of_pitch_are_recognised(modality: ModalityChoice, planted: Path) -> None:
    result = tuned(planted, modality)
    assert result.metrics["accuracy"].mean == 1.0
    assert result.protocol["chance"]["accuracy"] == pytest.approx(1 / CLASSES)
    (loss,) = result.protocol["chosen"]["tiny"][f"{modality} last_training_loss"]
    assert loss < 0.5 * np.log(CLASSES)


def test_shuffled_labels_cannot_be_learnt(planted: Path) -> None:
    honest = data(planted, "audio")
    random = np.random.default_rng(0)
    hits: list[float] = []
    for seed in range(3):
        labels = random.permutation([example.labels[0] for example in honest.examples])
        examples = tuple(replace(e, labels=(int(n),)) for e, n in zip(honest.examples, labels, strict=True))
        shuffled = replace(honest, examples=examples)
        result = measure_transfer(shuffled, [tiny_features()], protocol(f"seeds=[{seed}]", epochs=2))
        hits.append(result.metrics["accuracy"].mean)
    assert np.mean(hits) < 0.8


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(modality: ModalityChoice, planted: Path) -> None:
    first, again = (tuned(planted, modality, "seeds=[3]", epochs=2) for _ in range(2))
    assert first.model_dump_json() == again.model_dump_json()
    other = tuned(planted, modality, "seeds=[4]", epochs=2)
    assert other.protocol["chosen"] != first.protocol["chosen"]


def test_each_seed_gives_the_same_as_on_its_own(planted: Path) -> None:
    both = tuned(planted, "audio", "seeds=[3, 4]", epochs=1).protocol["chosen"]["tiny"]["audio last_training_loss"]
    alone = [
        tuned(planted, "audio", f"seeds=[{seed}]", epochs=1).protocol["chosen"]["tiny"]["audio last_training_loss"][0]
        for seed in (3, 4)
    ]
    assert both == alone


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_the_given_encoder_is_left_as_it_was(modality: ModalityChoice, planted: Path) -> None:
    features = tiny_features()
    encoders = (features.video_encoder, features.audio_encoder)
    before = [compute_model_stamp(encoder) for encoder in encoders if encoder]
    measure_transfer(data(planted, modality), [features], protocol(epochs=1))
    assert [compute_model_stamp(encoder) for encoder in encoders if encoder] == before
    assert not any(encoder.training for encoder in encoders if encoder)
    assert all(p.grad is None and p.requires_grad for encoder in encoders if encoder for p in encoder.parameters())


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_clips_that_are_decoded_again_give_the_same(modality: ModalityChoice, planted: Path) -> None:
    kept = tuned(planted, modality, epochs=2)
    again = tuned(planted, modality, "finetune.memory_gb=0", epochs=2)
    some = tuned(planted, modality, "finetune.memory_gb=0.0001", epochs=2)
    assert again.metrics == some.metrics == kept.metrics
    assert again.protocol["chosen"] == some.protocol["chosen"] == kept.protocol["chosen"]


def test_what_is_kept_in_memory_is_not_decoded_again(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[ClipFile] = []
    from talkies.evaluation.transfer import decoded_clips

    real = decoded_clips.read_clip

    def counted(clip: ClipFile, *more: Any) -> Any:
        decoded.append(clip)
        return real(clip, *more)

    monkeypatch.setattr(decoded_clips, "read_clip", counted)
    tuned(planted, "audio", epochs=2)
    assert len(decoded) == len({clip.path for clip in decoded}) == CLASSES * EACH


@pytest.mark.parametrize("more", ["finetune.epochs=2", "finetune.dropout=0.5", "finetune.label_smoothing=0.2"])
def test_the_result_says_how_it_was_tuned(more: str, planted: Path) -> None:
    plain, other = tuned(planted, "audio", epochs=1), tuned(planted, "audio", more, epochs=1)
    facts = [{k: v for k, v in result.protocol.items() if k != "chosen"} for result in (plain, other)]
    assert facts[0] != facts[1], "two ways to tune have one protocol"


def test_clips_of_several_labels_are_scored_by_mean_average_precision(planted: Path) -> None:
    single = data(planted, "audio")
    examples = tuple(replace(e, labels=(e.labels[0], 3) if e.labels[0] == 1 else e.labels) for e in single.examples)
    several = replace(single, multi_label=True, classes=(*single.classes, "middle"), examples=examples)
    result = measure_transfer(several, [tiny_features()], protocol(epochs=8))
    assert list(result.metrics) == ["mean_average_precision"]
    assert result.metrics["mean_average_precision"].mean > 0.9


def test_pictures_and_sound_are_not_tuned_at_once(planted: Path) -> None:
    both = data(planted, "both")
    with pytest.raises(UsageError, match=r"planted has pictures and sound, .*choose with --set data\.tower=video or"):
        measure_transfer(both, [tiny_features()], protocol())


@pytest.mark.parametrize("tower", ["video", "audio"])
def test_one_of_both_can_be_chosen(tower: ModalityChoice, planted: Path) -> None:
    result = measure_transfer(replace(data(planted, "both"), modality=tower), [tiny_features()], protocol(epochs=1))
    assert list(result.protocol["chosen"]["tiny"]) == [f"{tower} last_training_loss"]


def test_what_has_no_weights_is_refused(planted: Path) -> None:
    with pytest.raises(UsageError, match="statistics has no weights to fine-tune; give encoders"):
        measure_transfer(data(planted, "audio"), [statistics_features()], protocol())


def test_an_encoder_that_is_lacking_is_named(planted: Path) -> None:
    given = tiny_features()
    sound_alone = TowerFeatures("mine", given.clip_spec, given.transforms, audio=given.audio_encoder)
    with pytest.raises(UsageError, match="mine has no video encoder; name a model, or give encoders, that have one"):
        measure_transfer(data(planted, "video"), [sound_alone], protocol())


def test_a_single_training_clip_is_refused(planted: Path) -> None:
    few = replace(data(planted, "audio"), splits=(Split("split 1", (0,), (1, 2)),))
    with pytest.raises(UsageError, match="split 1 of planted has a single audio clip to learn from; give two or more"):
        measure_transfer(few, [tiny_features()], protocol())


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_no_batch_is_of_a_single_clip(count: int, planted: Path) -> None:
    few = replace(data(planted, "audio"), splits=(Split("split 1", tuple(range(count)), (16, 17)),))
    tuner = FineTuner(few, tiny_features(), protocol(epochs=1))
    tuner.clips.read_all()
    scores = tuner.fit_and_score("audio", few.splits[0], 0).scores_NVK
    assert scores.shape == (2, 2, CLASSES)
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-6)
