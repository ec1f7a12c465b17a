"""Clean recordings in a study: what the audio encoder learnt, tested on recordings that no film contained."""

from dataclasses import dataclass, replace
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets import READERS, DataSet, Split
from talkies.evaluation.transfer import Protocol, Statistics
from talkies.evaluation.transfer.features import load_run_features
from talkies.evaluation.transfer.transfer import check_complete, measure_transfer

_ESC_LISTS = ("meta/esc10.csv", "meta/esc50.csv")
_HELD_OUT_FOLDS = 2


@dataclass(frozen=True, slots=True)
class Sounds:
    """A folder of labelled sounds: ESC-10's layout, or one folder for each class."""

    root: Path

    @property
    def data(self) -> DataSet:
        """The sounds with one split: those of the films, and those held out (the last two folds).

        Raises:
            UsageError: if the folder holds no such sounds, or a single class.
        """
        is_esc = any((self.root / name).is_file() for name in _ESC_LISTS)
        data = READERS["esc10" if is_esc else "audio-folder"](self.root)
        check_complete(data, {}, allow_missing=False)
        if len(data.classes) < 2:
            raise UsageError(f"{self.root} has {len(data.classes)} class of sounds; name a folder with at least two")
        held_out = sorted(number for split in data.splits[-_HELD_OUT_FOLDS:] for number in split.test)
        if len(data.splits) == 1:
            used = sorted(data.splits[0].train)
        else:
            used = sorted(set(range(len(data.examples))) - set(held_out))
        return replace(data, splits=(Split("sounds never heard", tuple(used), tuple(held_out)),))


def measure_sounds(sounds: Sounds, run: Path, step: int) -> dict[str, float]:
    """Return the accuracy of linear classifiers on held-out sounds, by name.

    It uses the features of a run after `step` steps; at step 0 another one uses log-mel statistics.

    Raises:
        UsageError: if a sound cannot be used, or one is on both sides of the split.
    """
    protocol = Protocol(baselines=step == 0)
    trained = load_run_features(run, step, protocol, "trained")
    statistics = [Statistics(trained.clip_spec, trained.transforms.audio)] if step == 0 else []
    result = measure_transfer(sounds.data, [trained, *statistics], protocol)
    accuracies = {"sounds_accuracy": result.metrics["accuracy"].mean}
    for name, metrics in result.baselines.items():
        accuracies[f"sounds_accuracy_{name}"] = metrics["accuracy"].mean
    return accuracies
