"""The cells of a study: one arm with one seed, trained, measured on unseen films, and written down.

STUDY/films/<nature>/       seen, unseen: rendered films; library, unseen-library: what ingest made of them
STUDY/runs/<cell>/          a run that is not measured yet
STUDY/cells/<cell>.json     a cell that is done, there whole or not at all
"""

import hashlib
import shutil
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import torch
from pydantic import Field

from talkies.config import Config
from talkies.evaluation.film_tasks.concepts import read_truth
from talkies.library import read_json, write_json
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
    """What a model was measured at after `step` steps, by the measure's name."""

    step: int
    clips_seen: int
    measures: dict[str, float]


class Curve(Config):
    """A number of the training, step by step."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


class TrialResult(Config):
    """A cell that is done; `fingerprint` tells all that it was asked for."""

    arm: str
    seed: int
    fingerprint: str
    judged: tuple[Measurement, ...]
    curves: dict[str, Curve] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """An arm with a seed, and all that it takes to run it in another process."""

    arm: Arm
    seed: int
    scale: Scale
    films: FilmsOfNature
    sounds: Sounds | None
    threads: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.arm.name}-seed-{self.seed}"

    @property
    def path(self) -> Path:
        """Where its result lies."""
        return self.films.root / "cells" / f"{self.name}.json"

    @property
    def run(self) -> Path:
        """The folder of its run, until it is measured."""
        return self.films.root / "runs" / self.name

    @property
    def config(self) -> RunConfig:
        """The recipe of its run."""
        asked = [*self.scale.set, *self.arm.sets, f"training.steps={self.arm.steps}", f"training.seed={self.seed}"]
        every, judged = resolve(self.scale.recipe, asked).training.checkpoint_every, gcd(*self.measured_steps)
        kept = max(step for step in range(1, judged + 1) if judged % step == 0 and step <= every)
        keep = self.arm.steps // kept + 1  # until all are judged
        return resolve(self.scale.recipe, [*asked, f"training.checkpoint_every={kept}", f"training.keep={keep}"])

    @property
    def fingerprint(self) -> str:
        """What tells a cell that was asked for otherwise: its recipe, its films, its steps, the sounds."""
        asked = f"{self.config.model_dump_json()} {self.films.fingerprint} {self.measured_steps} {self.sounds}"
        return hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """The steps at which it is measured, beside 0."""
        return tuple(dict.fromkeys(max(1, round(share * self.arm.steps)) for share in self.scale.judged_at))


def load_finished_trial(cell: Trial) -> TrialResult | None:
    """Return the result of a cell if it is there and was asked for alike; what is left of its run is removed then."""
    if not cell.path.is_file():
        return None
    result = read_json(cell.path, TrialResult, "a cell of a study")
    if result.fingerprint != cell.fingerprint:
        return None
    shutil.rmtree(cell.run, ignore_errors=True)
    return result


def run_trial(cell: Trial) -> TrialResult:
    """Train, measure and write down one cell; what a killed study left of its run is gone on with.

    Raises:
        TalkiesError: as `pretrain`.
    """
    films, run, threads = cell.films, cell.run, torch.get_num_threads()
    torch.set_num_threads(cell.threads)
    if RunFolder(run).exists() and not RunFolder(run).list_checkpoints():
        shutil.rmtree(run)
    pretrain(films.library, cell.config, run, resume=RunFolder(run).exists())
    judged = [_measure_step(cell, run, films, step) for step in (0, *cell.measured_steps)]
    result = TrialResult(
        arm=cell.arm.name,
        seed=cell.seed,
        fingerprint=cell.fingerprint,
        judged=tuple(judged),
        curves=_collect_curves(run),
    )
    write_json(cell.path, result)
    shutil.rmtree(run)
    torch.set_num_threads(threads)
    return result


def _measure_step(cell: Trial, run: Path, films: FilmsOfNature, step: int) -> Measurement:
    encoder = load_encoder(run, step)
    encoded = encode_unseen_films(encoder, films)
    measures = measure(encoded, read_truth(films.unseen), encoder, cell.seed)
    if cell.sounds and step == cell.arm.steps:
        measures |= measure_sounds(cell.sounds, run, step)
    return Measurement(step=step, clips_seen=step * cell.config.sampling.batch_clips, measures=measures)


def _collect_curves(run: Path) -> dict[str, Curve]:
    lines = read_metrics(RunFolder(run).metrics_path)
    curves = {}
    for name in CURVES:
        there = [line for line in lines if name in line]
        if there:
            steps, values = tuple(int(line["step"]) for line in there), tuple(line[name] for line in there)
            curves[name] = Curve(steps=steps, values=values)
    return curves
