"""The trials of a study: one arm on one film set, trained, measured on unseen films, and written to disk.

STUDY/films/set-<n>/<nature>/   seen, unseen: rendered films; library, unseen-library: the films as ingested
STUDY/runs/<trial>/             a run that is not measured yet
STUDY/cells/<trial>.json        the result of a finished trial, whole or absent
"""

import hashlib
import shutil
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import torch
from pydantic import Field

from talkies.config import Config
from talkies.library import read_json, write_json
from talkies.runs import RunFolder, load_encoder
from talkies.study.arms import Arm
from talkies.study.films import FilmSet, encode_probe_films, encode_unseen_films
from talkies.study.measure import measure
from talkies.study.scale import Scale
from talkies.study.sounds import Sounds, measure_sounds
from talkies.training import RunConfig, pretrain, resolve
from talkies.training.metrics import read_metrics

CURVES = ("loss", "loss_within_film", "loss_which_film", "accuracy_which_film")


class Measurement(Config):
    """The measures of a model after `step` steps, by name; `of_films` are those of each unseen film."""

    step: int
    clips_seen: int
    measures: dict[str, float]
    of_films: dict[str, tuple[float, ...]] = Field(default_factory=dict)


class TrialResult(Config):
    """The result of a finished trial; `fingerprint` identifies everything that it depends on.

    `last` holds the last logged losses: a loss near 0 says that the training clips were learnt by heart.
    """

    arm: str
    film_set: int
    fingerprint: str
    judged: tuple[Measurement, ...]
    last: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """An arm on a film set, and everything needed to run it in another process."""

    arm: Arm
    scale: Scale
    films: FilmSet
    sounds: Sounds | None
    threads: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.arm.name}_set-{self.films.number}"

    @property
    def path(self) -> Path:
        """The path of its result."""
        return self.films.root / "cells" / f"{self.name}.json"

    @property
    def run(self) -> Path:
        """The folder of its run until it is measured."""
        return self.films.root / "runs" / self.name

    @property
    def config(self) -> RunConfig:
        """The recipe of its run; the number of the film set is its seed."""
        settings = [
            *("training.recalibration_batches=0", *self.scale.set, *self.arm.sets),
            *(f"training.steps={self.arm.steps}", f"training.seed={self.films.number}"),
        ]
        recipe_every = resolve(self.scale.recipe, settings).training.checkpoint_every

        # Write a checkpoint at every measured step, at least as often as the recipe does, and keep all of them.
        common = gcd(*self.measured_steps)
        every = max(step for step in range(1, common + 1) if common % step == 0 and step <= recipe_every)
        keep = self.arm.steps // every + 1
        return resolve(self.scale.recipe, [*settings, f"training.checkpoint_every={every}", f"training.keep={keep}"])

    @property
    def fingerprint(self) -> str:
        """A digest of everything that a trial depends on: its recipe, its films, its steps, the sounds.

        Keys with their default are left out, so that keys that are added later leave it as it is.
        """
        recipe = self.config.model_dump_json(exclude_defaults=True, exclude={"loader"})
        films = f"{self.films.fingerprint} {self.arm.films} {self.scale.probe_films}"
        parts = f"{recipe} {films} {self.measured_steps} {self.sounds}"
        return hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()

    @property
    def judged_steps(self) -> tuple[int, ...]:
        """The steps at which it is measured: also before training, if its arm is chosen for that."""
        return (*((0,) if self.arm.measures_untrained else ()), *self.measured_steps)

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """The steps at which it is measured after training, without step 0."""
        return tuple(dict.fromkeys(max(1, round(share * self.arm.steps)) for share in self.scale.judged_at))


def load_finished_trial(trial: Trial) -> TrialResult | None:
    """Return the result of a trial if it is finished, at the same steps and with the same fingerprint.

    What is left of its run is removed.
    """
    if not trial.path.is_file():
        return None
    result = read_json(trial.path, TrialResult, "a trial of a study")
    if result.fingerprint != trial.fingerprint or tuple(each.step for each in result.judged) != trial.judged_steps:
        return None
    shutil.rmtree(trial.run, ignore_errors=True)
    return result


def run_trial(trial: Trial) -> TrialResult:
    """Train, measure and save one trial, continuing the run that a killed study may have left.

    Raises:
        TalkiesError: as `pretrain`.
    """
    films, run, threads = trial.films, trial.run, torch.get_num_threads()
    torch.set_num_threads(trial.threads)
    if RunFolder(run).exists() and not RunFolder(run).list_checkpoints():
        shutil.rmtree(run)
    film_ids = films.list_first_films(trial.arm.films)
    pretrain(films.library, trial.config, run, resume=RunFolder(run).exists(), film_ids=film_ids)
    result = TrialResult(
        arm=trial.arm.name,
        film_set=films.number,
        fingerprint=trial.fingerprint,
        judged=tuple(_measure_step(trial, run, step) for step in trial.judged_steps),
        last=_read_last_losses(run),
    )
    write_json(trial.path, result)
    shutil.rmtree(run)
    torch.set_num_threads(threads)
    return result


def _measure_step(trial: Trial, run: Path, step: int) -> Measurement:
    encoder = load_encoder(run, step)
    unseen = encode_unseen_films(encoder, trial.films)
    learnt = encode_probe_films(encoder, trial.films, trial.scale.probe_films)
    measures = measure(unseen, learnt, encoder, trial.films.number)
    shares = measures.shares
    if trial.sounds and step in (0, trial.arm.steps):
        shares = shares | measure_sounds(trial.sounds, run, step)
    return Measurement(
        step=step,
        clips_seen=step * trial.config.sampling.batch_clips,
        measures=shares,
        of_films=measures.of_films,
    )


def _read_last_losses(run: Path) -> dict[str, float]:
    lines = [line for line in read_metrics(RunFolder(run).metrics_path) if "loss" in line]
    return {name: float(lines[-1][name]) for name in CURVES if name in lines[-1]}
