"""Fine-tuning at published schedules: their numbers, the windows of an epoch, and gradients in less memory."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from little_clips import RATE_HZ, SIDE, data_of, noise_sound, tiny_features, tone
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from talkies.clips.clip_files import ViewSampling
from talkies.core import UsageError, precision
from talkies.evaluation.transfer import classifier, resolve_protocol
from talkies.evaluation.transfer.classifier import Classifier, backpropagate, uses_bf16
from talkies.evaluation.transfer.decoded_clips import DecodedClipCache
from talkies.evaluation.transfer.features import TowerFeatures
from talkies.evaluation.transfer.finetune import FineTuner
from talkies.evaluation.transfer.protocol_text import _describe_finetuning
from talkies.evaluation.transfer.schedules import FineTuning, PictureAugmentation, compute_rate, plan_epoch
from talkies.media import DecodedFile
from talkies.models import VIDEO_ENCODERS
from talkies.transforms import TransformConfig, VideoTransformConfig

CLASSES, CLIPS = 3, 12

# epochs, windows of a clip in an epoch, epochs of the head, batch, optimiser, rate, milestones, decay, dropout
PUBLISHED = {
    "finetune-avid": (16, 5, 5, 32, "adamw", 1e-4, (6, 10, 14), 0.3, 0.5),
    "finetune-avid-hmdb51": (10, 10, 5, 32, "adamw", 1e-4, (3, 6, 8), 0.3, 0.5),
    "finetune-crisscross": (20, 10, 0, 32, "sgd", 7e-5, (8, 12, 16), 0.3, 0.0),
    "finetune-crisscross-hmdb51": (20, 10, 0, 32, "sgd", 1e-4, (6, 10, 14), 0.1, 0.5),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_is_what_was_published(name: str) -> None:
    protocol = resolve_protocol(name)
    options, optimiser = protocol.finetune, protocol.finetune.optimiser
    found = (
        *(options.epochs, options.clips_per_epoch, options.head_epochs, options.batch_clips),
        *(optimiser.kind, optimiser.learning_rate, options.milestones, options.decay, options.dropout),
    )
    assert found == PUBLISHED[name]
    assert (optimiser.weight_decay, optimiser.warmup_steps, optimiser.max_grad_norm) == (0.0, 0, None)
    assert (optimiser.beta2, optimiser.momentum) == (0.999, 0.9)
    assert (protocol.frames, protocol.fps, protocol.size, protocol.clips, protocol.crops) == (32, 16, 224, 10, 1)
    strength = 1.0 if name == "finetune-avid-hmdb51" else 0.4
    jitter = dict.fromkeys(("brightness", "contrast", "saturation"), strength)
    grey = 0.2 if "crisscross" in name else 0.0
    wanted = PictureAugmentation(crop_area_min=0.08, crop_aspect_max=4 / 3, flip=0.5, hue=0.2, grey=grey, **jitter)
    assert options.augmentation == wanted


def test_the_earlier_protocols_are_what_they_were() -> None:
    for name in ("finetune", "finetune-224", "finetune-audio", "finetune-own"):
        found = _describe_finetuning(resolve_protocol(name).finetune)
        optimiser = {"kind": "adamw", "learning_rate": 5e-4, "weight_decay": 0.01, "warmup_steps": 0}
        optimiser |= {"momentum": 0.9, "beta2": 0.999, "longest_gradient": None}
        wanted = {"epochs": 20, "batch_clips": 16, "optimiser": optimiser, "dropout": 0.0, "label_smoothing": 0.0}
        if not uses_bf16(FineTuning()):
            assert found == wanted, "the same measurement has another protocol"


def test_a_result_says_what_differs_from_the_earlier_protocols() -> None:
    found = _describe_finetuning(resolve_protocol("finetune-avid", ["finetune.chunk_clips=8"]).finetune)
    assert {key: found[key] for key in ("clips_per_epoch", "head_epochs", "milestones", "decay", "chunk_clips")} == {
        "clips_per_epoch": 5, "head_epochs": 5, "milestones": [6, 10, 14], "decay": 0.3, "chunk_clips": 8,
    }  # fmt: skip


def test_one_key_of_the_optimiser_leaves_the_others_as_they_are() -> None:
    optimiser = resolve_protocol("finetune", ["finetune.optimiser.warmup_steps=7"]).finetune.optimiser
    assert (optimiser.learning_rate, optimiser.weight_decay, optimiser.warmup_steps) == (5e-4, 0.01, 7)
    assert FineTuning(optimiser={"kind": "sgd"}).optimiser.learning_rate == 5e-4


@given(st.lists(st.integers(0, 99), min_size=1, max_size=30, unique=True), st.integers(1, 10), st.integers(0, 99))
def test_an_epoch_has_each_clip_exactly_so_often(train: list[int], times: int, seed: int) -> None:
    order = plan_epoch(np.array(train), times, np.random.default_rng(seed))
    assert Counter(order.tolist()) == dict.fromkeys(train, times)
    once = plan_epoch(np.array(train), 1, np.random.default_rng(seed))
    assert once.tolist() == np.random.default_rng(seed).permutation(train).tolist(), "as it always was"


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_in_steps_are_those_of_torch(name: str) -> None:
    options = resolve_protocol(name).finetune
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=options.optimiser.learning_rate)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, list(options.milestones), options.decay)
    for epoch in range(options.epochs):
        rates = [compute_rate(epoch * 7 + step, 7, options) for step in range(7)]
        assert rates == pytest.approx(schedule.get_last_lr() * 7, rel=1e-12)
        optimiser.step()
        schedule.step()


def test_rates_in_steps_rise_over_the_warm_up() -> None:
    options = FineTuning(milestones=(1,), decay=0.5, optimiser={"learning_rate": 1.0, "warmup_steps": 4})
    assert [compute_rate(step, 3, options) for step in range(6)] == [0.25, 0.5, 0.75, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("milestones", ["[3, 2]", "[2, 2]"])
def test_milestones_ascend(milestones: str) -> None:
    with pytest.raises(UsageError, match=r"milestones must be epochs in ascending order, each once, got \["):
        resolve_protocol("finetune", [f"finetune.milestones={milestones}"])


def test_augmentation_has_the_keys_of_the_transform_and_replaces_them_one_by_one() -> None:
    assert PictureAugmentation.model_fields.keys() == VideoTransformConfig.model_fields.keys() - {"size"}
    run = TransformConfig(video=VideoTransformConfig(size=64, hue=0.1, grey=0.3))
    options = resolve_protocol("finetune", ["finetune.augmentation.hue=0.2"]).finetune
    assert options.augmentation.apply(run).video == VideoTransformConfig(size=64, hue=0.2, grey=0.3)
    assert PictureAugmentation().apply(run) == run


def features_of(encoder: str) -> TowerFeatures:
    """Untrained features of a video encoder for pictures of the little size."""
    torch.manual_seed(0)
    spec = tiny_features().clip_spec
    return TowerFeatures(
        "mine", spec, TransformConfig(video=VideoTransformConfig(size=SIDE)), VIDEO_ENCODERS[encoder]()
    )


def classifier_of(encoder: str, dropout: float = 0.0, *, mixed: bool = False) -> Classifier:
    features = features_of(encoder)
    torch.manual_seed(1)
    return Classifier(features, "video", CLASSES, dropout, mixed=mixed).train()


def gradients(model: Classifier, clips: int, seed: int = 0, **how: Any) -> tuple[float, dict[str, Tensor]]:
    """The loss and the gradients of a batch of noise."""
    random = torch.Generator().manual_seed(seed)
    prepared = torch.randn(clips, 3, 4, SIDE, SIDE, generator=random)
    target_B = torch.arange(clips) % CLASSES
    torch.manual_seed(seed)
    model.zero_grad()
    loss = backpropagate(model, prepared, lambda logits, part: cross_entropy(logits, target_B[part]), **how)
    return loss.item(), {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The norm of the difference of two gradients, as a share of the first one's."""
    assert one.keys() == other.keys()
    first, second = (torch.cat([each.flatten() for each in grads.values()]) for grads in (one, other))
    return float((first - second).norm() / first.norm())


@pytest.mark.parametrize("chunk_clips", [2, 3, 5, 7, 64])
def test_chunks_add_up_to_the_gradient_of_the_whole_batch(chunk_clips: int) -> None:
    model = classifier_of("vit_tiny", dropout=0.5)
    loss, whole = gradients(model, 7)
    again, chunked = gradients(model, 7, chunk_clips=chunk_clips)
    assert again == pytest.approx(loss, rel=1e-5)
    assert distance(whole, chunked) < 1e-5


def test_checkpointed_activations_give_identical_gradients_and_statistics() -> None:
    models = [classifier_of("tiny") for _ in range(2)]
    models[1].encoder.recompute = True
    (loss, plain), (again, checkpointed) = (gradients(model, 4) for model in models)
    assert again == loss
    assert distance(plain, checkpointed) < 1e-6
    for name, value in models[0].named_buffers():
        torch.testing.assert_close(dict(models[1].named_buffers())[name], value)


@pytest.mark.parametrize("encoder", ["vit_tiny", "tiny"])
def test_mixed_precision_gives_finite_gradients_that_are_near(encoder: str) -> None:
    loss, exact = gradients(classifier_of(encoder), 6)
    mixed_loss, mixed = gradients(classifier_of(encoder, mixed=True), 6)
    assert mixed_loss == pytest.approx(loss, rel=0.02)
    assert mixed_loss != loss
    assert all(grad.isfinite().all() and grad.dtype == torch.float32 for grad in mixed.values())
    assert distance(exact, mixed) < 0.1


def test_dropout_is_active_in_training_only() -> None:
    model = classifier_of("tiny", dropout=0.5)
    factor_BE = model.draw_dropout(400)
    assert set(factor_BE.unique().tolist()) == {0.0, 2.0}
    assert factor_BE.mean().item() == pytest.approx(1, abs=0.05)
    clips = torch.randint(0, 255, (4, 4, SIDE * 3 // 2, SIDE), dtype=torch.uint8)
    assert not torch.equal(model(clips), model(clips))
    model.eval()
    assert model.draw_dropout(4).eq(1).all()
    assert torch.equal(model(clips), model(clips))


def test_the_linear_layer_can_learn_alone() -> None:
    model = classifier_of("tiny")
    _, whole = gradients(model, 4)
    _, alone = gradients(model, 4, learns_encoder=False)
    assert alone.keys() == {"layer.weight", "layer.bias"}
    assert distance({name: whole[name] for name in alone}, alone) < 1e-6


def test_half_precision_is_automatic_on_gpus_only_and_refused_where_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has_it in (True, False):
        monkeypatch.setattr(classifier, "has_bf16_arithmetic", lambda device, has_it=has_it: has_it)
        assert not uses_bf16(FineTuning())
        assert not uses_bf16(FineTuning(precision="32-true"))
    with pytest.raises(UsageError, match=r"^finetune\.precision is bf16-mixed and this machine has no bf16 arithmetic"):
        uses_bf16(FineTuning(precision="bf16-mixed"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(classifier, "has_bf16_arithmetic", lambda device: device == "cuda")
    assert uses_bf16(FineTuning())


class SoundsInMemory(DecodedClipCache):
    """Sounds whose class is their pitch, and which were never files."""

    def __init__(self) -> None:
        super().__init__(SOUNDS, "audio", ViewSampling(tiny_features().clip_spec, 2, 1), 0)

    def get_clip(self, number: int) -> DecodedFile:
        """Return a second of sound."""
        sound = tone(300 * 2 ** (number % CLASSES), 1.0, number / CLIPS) + noise_sound(number, RATE_HZ, level=300)
        return DecodedFile(None, sound, 0)


SOUNDS = data_of(Path(), "audio", [(f"{number}.wav", number % CLASSES) for number in range(CLIPS)], tested=3)


def tuner(*sets: str) -> FineTuner:
    protocol = resolve_protocol("finetune-audio", ["clips=2", "finetune.epochs=2", "finetune.batch_clips=5", *sets])
    return FineTuner(SOUNDS, tiny_features(), protocol, SoundsInMemory())


def test_every_epoch_sees_as_many_windows_of_each_clip_as_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[list[tuple[int, bytes]]] = []
    read = FineTuner._read_random_windows

    def reading(self: FineTuner, numbers: list[int], random: np.random.Generator) -> Tensor:
        windows = read(self, numbers, random)
        steps.append(list(zip(numbers, (window.numpy().tobytes() for window in windows), strict=True)))
        return windows

    monkeypatch.setattr(FineTuner, "_read_random_windows", reading)
    (split,) = SOUNDS.splits
    tuner("finetune.clips_per_epoch=3", "finetune.head_epochs=1").fit_and_score("audio", split, 0)
    assert [len(step) for step in steps] == [4, 5, 4, 5, 4, 5] * 3, "27 windows, three epochs, even batches"
    for epoch in range(3):
        seen = [window for step in steps[6 * epoch : 6 * epoch + 6] for window in step]
        assert Counter(number for number, _ in seen) == dict.fromkeys(split.train, 3)
        assert len(set(seen)) == len(seen), "the windows of a clip differ"


EVERYTHING = (
    *("finetune.clips_per_epoch=2", "finetune.head_epochs=1", "finetune.dropout=0.5", "finetune.chunk_clips=2"),
    *("finetune.milestones=[1]", "finetune.activation_checkpointing=true"),
)


def test_the_same_seed_gives_the_same_numbers_with_all_options() -> None:
    (split,) = SOUNDS.splits
    first, again, other = (tuner(*EVERYTHING).fit_and_score("audio", split, seed) for seed in (3, 3, 4))
    assert first.chosen == again.chosen != other.chosen
    np.testing.assert_array_equal(first.scores_NVK, again.scores_NVK)
    assert np.isfinite(first.scores_NVK).all()


@pytest.mark.parametrize("less", EVERYTHING[:5])
def test_each_option_changes_what_is_learnt(less: str) -> None:
    (split,) = SOUNDS.splits
    plain, changed = (tuner(*sets).fit_and_score("audio", split, 0) for sets in ((), (less,)))
    assert plain.chosen != changed.chosen


def test_mixed_precision_reaches_nearly_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "has_bf16_arithmetic", lambda device: True)
    (split,) = SOUNDS.splits
    sets = ((), ("finetune.precision=bf16-mixed",))
    exact, mixed = (tuner(*each).fit_and_score("audio", split, 0) for each in sets)
    loss = exact.chosen["last_training_loss"]
    assert mixed.chosen["last_training_loss"] == pytest.approx(loss, rel=0.05)
    assert mixed.chosen["last_training_loss"] != loss


def test_only_the_linear_layer_changes_in_the_first_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    (split,) = SOUNDS.splits
    kept: list[dict[str, Tensor]] = []
    run = FineTuner._run_epoch

    def running(self: FineTuner, model: Classifier, *args: Any, **how: Any) -> float:
        kept.append({name: weight.detach().clone() for name, weight in model.named_parameters()})
        return run(self, model, *args, **how)

    monkeypatch.setattr(FineTuner, "_run_epoch", running)
    tuner("finetune.head_epochs=2").fit_and_score("audio", split, 0)
    first, _, third, fourth = kept
    changed = {name for name in first if not torch.equal(first[name], third[name])}
    assert changed == {"layer.weight", "layer.bias"}
    assert all(not torch.equal(third[name], fourth[name]) for name in third if name.endswith("0.weight"))


def test_augmentation_of_pictures_is_refused_for_sound() -> None:
    sentence = r"^finetune\.augmentation is for pictures, and planted has sound; use --protocol finetune-audio$"
    with pytest.raises(UsageError, match=sentence):
        tuner("finetune.augmentation.hue=0.1")


def test_fine_tuning_sets_the_precision_of_products_and_times_convolutions_only_in_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "_DEVICES", ("cpu",))  # as if this were a CUDA device
    seen: set[tuple[bool, bool, bool, bool]] = set()
    classify = Classifier.classify

    def watched(self: Classifier, *args: Any, **how: Any) -> Tensor:
        cudnn = torch.backends.cudnn
        seen.add((self.training, torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark))
        return classify(self, *args, **how)

    monkeypatch.setattr(Classifier, "classify", watched)
    (split,) = SOUNDS.splits
    tuner("finetune.epochs=1").fit_and_score("audio", split, 0)
    assert seen == {(True, False, False, True), (False, False, False, False)}
    assert torch.backends.cudnn.allow_tf32  # PyTorch's default is back
