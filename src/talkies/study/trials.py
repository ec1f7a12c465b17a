"""The trials of a study: one arm with one seed, trained, measured on unseen films, and written to disk.

STUDY/films/<nature>/       seen, unseen: rendered films; library, unseen-library: the films as ingested
STUDY/runs/<trial>/         a run that is not measured yet
STUDY/cells/<trial>.json    the result of a finished trial, whole or absent
"""

import hashlib
import re
import shutil
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import torch
from pydantic import Field

from talkies.config import Config
from talkies.evaluation.film_tasks.concepts import read_truth
from talkies.library import read_json, write_json
from talkies.models import AdaptationConfig
from talkies.runs import RunFolder, load_encoder
from talkies.study.arms import Arm
from talkies.study.films import FilmsOfNature, encode_unseen_films
from talkies.study.measure import measure
from talkies.study.scale import Scale
from talkies.study.sounds import Sounds, measure_sounds
from talkies.training import RunConfig, pretrain, resolve
from talkies.training.metrics import read_metrics

CURVES = ("loss", "loss_within_film", "loss_which_film")


class Measurement(Config):
    """The measures of a model after `step` steps, by name."""

    step: int
    clips_seen: int
    measures: dict[str, float]


class Curve(Config):
    """A logged value of the training, step by step."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


class TrialResult(Config):
    """The result of a finished trial; `fingerprint` identifies everything that it depends on."""

    arm: str
    seed: int
    fingerprint: str
    judged: tuple[Measurement, ...]
    curves: dict[str, Curve] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """An arm with a seed, and everything needed to run it in another process."""

    arm: Arm
    seed: int
    scale: Scale
    films: FilmsOfNature
    sounds: Sounds | None
    threads: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.arm.name}-seed-{self.seed}"

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
        """The recipe of its run."""
        settings = [
            *("training.recalibration_batches=0", *self.scale.set, *self.arm.sets),
            *(f"training.steps={self.arm.steps}", f"training.seed={self.seed}"),
        ]
        recipe_every = resolve(self.scale.recipe, settings).training.checkpoint_every

        # Write a checkpoint at every measured step, at least as often as the recipe does, and keep all of them.
        common = gcd(*self.measured_steps)
        every = max(step for step in range(1, common + 1) if common % step == 0 and step <= recipe_every)
        keep = self.arm.steps // every + 1
        return resolve(self.scale.recipe, [*settings, f"training.checkpoint_every={every}", f"training.keep={keep}"])

    @property
    def fingerprint(self) -> str:
        """A digest of everything that a trial depends on: its recipe, its films, its steps, the sounds."""
        parts = f"{_dump_config(self.config)} {self.films.fingerprint} {self.measured_steps} {self.sounds}"
        return hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """The steps at which it is measured, in addition to 0."""
        return tuple(dict.fromkeys(max(1, round(share * self.arm.steps)) for share in self.scale.judged_at))


def _dump_config(config: RunConfig) -> str:
    """Return a config as JSON, with the keys that it had when the first studies were made: their trials still count.

    Those in chunks do not: batch norms saw chunks of a few films then.
    """
    text = config.model_dump_json().replace('"max_grad_norm":', '"longest_gradient":')
    # Studies are made at 16 kHz, at which a recipe that counts its spectrogram there is as it was before it said so.
    text = text.replace('"audio":{"rate_hz":16000,', '"audio":{').replace('"audio":{"rate_hz":null,', '"audio":{')
    unset = (
        '"start_grid_seconds":null,',
        '"few_films":"refuse",',
        ',"frame_pool":"mean"',
    )  # what later keys leave as it was
    for part in ('"crop_position":"centre",', f'"adaptation":{AdaptationConfig().model_dump_json()},', *unset):
        text = text.replace(part, "")
    now = '"sync_batch_norm":true,"recalibration_batches":0,"chunk_clips":null'
    text = text.replace(now, '"sync_batch_norm":false,"chunk_clips":null')
    return re.sub(r'("compile":(?:true|false),)', r'\1"cpu_convolutions":"direct",', text)


def load_finished_trial(trial: Trial) -> TrialResult | None:
    """Return the result of a trial if it is finished and has the same fingerprint; remove what is left of its run."""
    if not trial.path.is_file():
        return None
    result = read_json(trial.path, TrialResult, "a trial of a study")
    if result.fingerprint != trial.fingerprint:
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
    pretrain(films.library, trial.config, run, resume=RunFolder(run).exists())
    measurements = [_measure_step(trial, run, films, step) for step in (0, *trial.measured_steps)]
    result = TrialResult(
        arm=trial.arm.name,
        seed=trial.seed,
        fingerprint=trial.fingerprint,
        judged=tuple(measurements),
        curves=_collect_curves(run),
    )
    write_json(trial.path, result)
    shutil.rmtree(run)
    torch.set_num_threads(threads)
    return result


def _measure_step(trial: Trial, run: Path, films: FilmsOfNature, step: int) -> Measurement:
    encoder = load_encoder(run, step)
    encoded = encode_unseen_films(encoder, films)
    measures = measure(encoded, read_truth(films.unseen), encoder, trial.seed)
    if trial.sounds and step == trial.arm.steps:
        measures |= measure_sounds(trial.sounds, run, step)
    return Measurement(step=step, clips_seen=step * trial.config.sampling.batch_clips, measures=measures)


def _collect_curves(run: Path) -> dict[str, Curve]:
    lines = read_metrics(RunFolder(run).metrics_path)
    curves = {}
    for name in CURVES:
        logged = [line for line in lines if name in line]
        if logged:
            steps, values = tuple(int(line["step"]) for line in logged), tuple(line[name] for line in logged)
            curves[name] = Curve(steps=steps, values=values)
    return curves
