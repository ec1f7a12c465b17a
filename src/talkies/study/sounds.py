"""Clean recordings in a study: what the audio encoder learnt, tested on recordings that no film contained."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets import READERS, DataSet, Split
from talkies.evaluation.transfer import Protocol, Statistics
from talkies.evaluation.transfer.features import load_run_features
from talkies.evaluation.transfer.transfer import measure_transfer
from talkies.study.materials import ESC_LISTS, MaterialFolders


@dataclass(frozen=True, slots=True)
class Sounds:
    """A folder of labelled sounds: ESC-10's layout, or one folder for each class; `seed` as that of the films."""

    root: Path
    seed: int = field(default=0, repr=False)

    @property
    def data(self) -> DataSet:
        """The sounds with one split: those that films to learn from may have, and those that they may not.

        Raises:
            UsageError: if the folder holds no such sounds, or a single class.
        """
        seen, unseen = MaterialFolders(sounds=self.root).read_split(self.seed)
        is_esc = any((self.root / "meta" / f"{name}.csv").is_file() for name in ESC_LISTS)
        data = READERS["esc10" if is_esc else "audio-folder"](self.root)
        if len(data.classes) < 2:
            raise UsageError(f"{self.root} has {len(data.classes)} class of sounds; name a folder with at least two")
        sides = [{path for paths in side.sounds for path in paths} for side in (seen, unseen)]
        numbers = [tuple(n for n in range(len(data.examples)) if data.get_path(n).absolute() in side) for side in sides]
        return replace(data, splits=(Split("sounds never heard", *numbers),))


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
