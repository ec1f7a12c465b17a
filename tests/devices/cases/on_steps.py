"""A training step on a device: nothing is mixed in from the CPU, and the program waits for no value of it."""

import pytest
from device_training import AUGMENTED, config_of, list_waits

OBJECTIVES: dict[str, tuple[str, ...]] = {
    "infonce": ("objective.cross_film_weight=0.5",),
    "infonce in blocks": ("objective.cross_film_weight=0.5", "objective.block_clips=4"),
    "terms of negatives": ("objective.cross_film_weight=0.4", "objective.cross_film_weighs=negatives"),
    "two views": ("objective.within_modal_weight=0.5", "objective.cross_film_weight=1"),
    "positives and masks": (
        "objective.within_film_positives_seconds=2",
        "objective.mask_nearer_than_seconds=4",
        "objective.learn_temperature=true",
    ),
    "decoupled": ("objective.loss=decoupled", "objective.cross_film_weighs=negatives", "objective.block_clips=3"),
    "sigmoid": ("objective.loss=sigmoid", "objective.bias=-2", "objective.cross_film_weighs=negatives"),
    "sigmoid in blocks": (
        "objective.loss=sigmoid",
        "objective.bias=-2",
        "objective.cross_film_weighs=negatives",
        "objective.block_clips=4",
    ),
    "weighed by time": ("objective.time_weighting=farther", "objective.time_scale_seconds=3"),
    "agreement": ("objective.agreement=ignore", "objective.agreement_share=0.3", "objective.block_clips=3"),
    "recurrences": ("objective.recurrences=repeats.json", "objective.cross_film_weight=0.5"),
    "recurrences in blocks": (
        "objective.recurrences=repeats.json",
        "objective.cross_film_weight=0.5",
        "objective.block_clips=3",
    ),
    "queue": ("objective.queue_clips_per_film=6",),
    "queue of the batch's films, recurrences": (
        "objective.queue_clips_per_film=6",
        "objective.queue_negatives=batch_films",
        "objective.cross_film_weight=0.5",
        "objective.recurrences=repeats.json",
        "objective.block_clips=4",
    ),
}
WAYS: dict[str, tuple[str, ...]] = {
    "augmented": AUGMENTED,
    "chunks": ("training.chunk_clips=4", *AUGMENTED),
    "bf16": ("training.precision=bf16-mixed",),
    "bf16 in chunks": ("training.precision=bf16-mixed", "training.chunk_clips=3"),
    "checkpointing": ("training.activation_checkpointing=true",),
    "not channels last": ("training.channels_last=false",),
    "average of weights": ("training.ema_decay=0.9",),
    "clipped": ("optimiser.max_grad_norm=0.1",),
    "sgd": ("optimiser.kind=sgd",),
    "lars": ("optimiser.kind=lars",),
}
ENCODERS = {
    "r2plus1d18": ("model.video=r2plus1d18",),
    "resnet18": ("model.audio=resnet18",),
    "vit_tiny": ("model.video=vit_tiny", "model.audio=vit_tiny", "transforms.video.size=32"),
}


@pytest.mark.parametrize("overrides", OBJECTIVES.values(), ids=OBJECTIVES)
def test_no_objective_waits_for_the_device(overrides: tuple[str, ...]) -> None:
    assert list_waits(config_of(*overrides)) == []


@pytest.mark.parametrize("overrides", WAYS.values(), ids=WAYS)
def test_no_way_to_train_waits_for_the_device(overrides: tuple[str, ...]) -> None:
    assert list_waits(config_of(*overrides)) == []


@pytest.mark.parametrize("overrides", ENCODERS.values(), ids=ENCODERS)
def test_no_encoder_waits_for_the_device(overrides: tuple[str, ...]) -> None:
    assert list_waits(config_of(*overrides)) == []
