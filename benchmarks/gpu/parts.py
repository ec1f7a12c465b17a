"""The parts of the day in their order, the most valuable first, and how their results are shown."""

from collections.abc import Mapping

from gpu import card, device_tests, encoding, films, loading, loss, pair, steps, towers
from gpu.runner import Part

PARTS = (
    Part("machine", "The machine", card.describe_machine, 60),
    Part("tests", "The tests that need a GPU", device_tests.run_tests, 110, device_tests.MODULES, group="first"),
    Part("films", "Films, rendered and ingested beside the tests", films.make_films, 110, group="first"),
    Part("steps-r2plus1d18", "A step of `r2plus1d18`", steps.measure_r2plus1d18, 110),
    Part("loader", "The loader, and waiting for it", loading.measure_loading, 40),
    Part("steps-vit-s", "A step of `vit-s`", steps.measure_vit_s, 60),
    Part("loss", "The contrastive loss of large batches", loss.measure_loss, 20),
    Part("embedding", "Embedding films", encoding.measure_embedding, 25),
    Part("adaptation", "Adapting public encoders", encoding.measure_adaptation, 40, towers.MODULES),
    Part("pair-random", "The pair: negatives of other films", pair.train_random, None),
    Part("pair-within", "The pair: negatives of the same film", pair.train_within, None),
    Part("pair", "The pair on unseen films", pair.measure_pair, 45, pair.MODULES),
)
SHARES = {"pair-random": 0.5, "pair-within": 1.0}
"""Of the time that is left for the pair, when the part begins."""
KEPT_SECONDS = {"pair-random": 40.0, "pair-within": 40.0}
"""Of the time that is left, when the part begins, for measuring the pair."""

Columns = Mapping[str, tuple[str, str]]
_CLIPS = {"clips_per_second": ("clips/s", ",.0f")}
_NAME = {"configuration": ("", "")}
_ARM: Columns = {
    "configuration": ("arm", ""),
    "step": ("step", ",d"),
    "steps_taken": ("steps of this day", ",d"),
    "clips": ("clips seen", ",d"),
    "loss": ("loss", ".2f"),
    "accuracy_which_film": ("film found in the batch", ".0%"),
    **_CLIPS,
    "waiting_share": ("waiting", ".1%"),
}
_STEPS: Columns = {
    "configuration": ("configuration", ""),
    **_CLIPS,
    "speed_up": ("× float32, contiguous", ".1f"),
    "mfu": ("MFU", ".0%"),
    "peak_gib": ("memory, GiB", ".1f"),
    "step_seconds": ("a step, s", ".3f"),
    "first_seconds": ("the first step, s", ".1f"),
}
COLUMNS: Mapping[str, Columns] = {
    "machine": {
        "card": ("card", ""),
        "memory_gib": ("its memory, GiB", ".0f"),
        "processor": ("processor", ""),
        "python": ("Python", ""),
        "torch": ("PyTorch", ""),
        "cuda": ("CUDA", ""),
        "cudnn": ("cuDNN", ""),
        "triton": ("Triton", ""),
    },
    "tests": {"test": ("test", ""), "outcome": ("", "")},
    "films": {"films": ("films", ",d"), "hours": ("hours", ".1f"), "seconds": ("after, s", ".0f")},
    "steps-r2plus1d18": _STEPS,
    "steps-vit-s": _STEPS,
    "loader": {
        "configuration": ("", ""),
        "workers": ("workers", ",d"),
        "loader_clips_per_second": ("the loader alone, clips/s", ",.0f"),
        "training_clips_per_second": ("training, clips/s", ",.0f"),
        "waiting_share": ("waiting", ".1%"),
        "steps": ("steps", ",d"),
    },
    "loss": {**_NAME, "milliseconds": ("loss and gradient, ms", ",.1f"), "peak_gib": ("memory, GiB", ".2f")},
    "embedding": {**_NAME, **_CLIPS, "film_hours_per_minute": ("hours of film a minute", ",.1f")},
    "adaptation": {
        **_NAME,
        **_CLIPS,
        "step_milliseconds": ("a step, ms", ",.0f"),
        "head_milliseconds": ("a step of the heads alone, ms", ",.1f"),
        "peak_gib": ("memory, GiB", ".1f"),
    },
    "pair-random": _ARM,
    "pair-within": _ARM,
    "pair": {
        "configuration": ("model", ""),
        "step": ("step", ",d"),
        "concept_video": ("concept from pictures", ".1%"),
        "concept_audio": ("concept from sound", ".1%"),
        "within_film_recall_at_1": ("recall at 1 within the film", ".1%"),
        "across_films_recall_at_1": ("across films", ".1%"),
        "film_video": ("film told by pictures", ".1%"),
    },
}
