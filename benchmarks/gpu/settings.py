"""How large everything is: on a GPU, and in the dry run on a processor."""

import os
from dataclasses import dataclass
from pathlib import Path

from talkies.library import Profile
from talkies.synth import SynthConfig


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of all parts; `small` are the settings that make a recipe's clips and encoders small.

    Attributes:
        synth: how films are rendered.
        profile: how they are ingested.
        most_films: so many to learn from, if there is time.
        film_step: films are made this many at a time.
        unseen_films: those that the pair is measured on.
        step_clips: clips of a step in the tables.
        rounds: timed steps.
        most_step_clips: where the search for the largest batch ends.
        loss_clips: batches of the contrastive loss.
        loss_plain_clips: the largest of them that is also computed at once on any device.
        blocks: sizes of its blocks.
        tower_layers: blocks of the ViT-B-sized towers.
        tower_width: their width.
        tower_clips: clips of a step that adapts them.
        pair_steps: steps of each model of the pair.
        pair_every: steps between its checkpoints.
        pair_clips_per_film: of the arm within films.
        pair_batch_clips: clips of a batch of either arm, if there are as many films.
    """

    synth: SynthConfig
    profile: Profile
    most_films: int
    film_step: int
    unseen_films: int
    step_clips: int
    rounds: int
    most_step_clips: int
    loss_clips: tuple[int, ...]
    loss_plain_clips: int
    blocks: tuple[int, ...]
    tower_layers: int
    tower_width: int
    tower_clips: int
    pair_steps: int
    pair_every: int
    pair_clips_per_film: int
    pair_batch_clips: int
    small: tuple[str, ...] = ()


FULL = Sizes(
    synth=SynthConfig(seconds=40.0, mark_strength=1.0, audio_rate_hz=16_000),
    profile=Profile(),
    most_films=256,
    film_step=64,
    unseen_films=32,
    step_clips=128,
    rounds=6,
    most_step_clips=4096,
    loss_clips=(16_384, 65_536),
    loss_plain_clips=65_536,
    blocks=(1024, 4096),
    tower_layers=12,
    tower_width=768,
    tower_clips=64,
    pair_steps=1200,
    pair_every=100,
    pair_clips_per_film=8,
    pair_batch_clips=128,
)
DRY = Sizes(
    synth=SynthConfig(seconds=5.0, fps=8, width=48, height=48, audio_rate_hz=16_000, shot_seconds_max=2.5),
    profile=Profile(fps=8, short_side=48, gop=8),
    most_films=4,
    film_step=4,
    unseen_films=3,
    step_clips=4,
    rounds=1,
    most_step_clips=8,
    loss_clips=(64,),
    loss_plain_clips=64,
    blocks=(32,),
    tower_layers=1,
    tower_width=48,
    tower_clips=4,
    pair_steps=2,
    pair_every=1,
    pair_clips_per_film=2,
    pair_batch_clips=4,
    small=(
        "clip.frames=4",
        "clip.fps=8",
        "clip.audio_seconds=0.5",
        "sampling.least_gap_seconds=0",
        "transforms.video.size=32",
        "transforms.audio.mels=32",
        "training.recalibration_batches=1",
        "loader.workers=0",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a part needs to know: the device (`cuda` or `cpu`), the sizes, and the folder of films and checkpoints."""

    device: str
    is_dry: bool
    work: Path

    @property
    def sizes(self) -> Sizes:
        """The sizes of all parts."""
        return DRY if self.is_dry else FULL

    @property
    def cores(self) -> int:
        """The cores that this process may use."""
        return len(os.sched_getaffinity(0))

    @property
    def library(self) -> Path:
        """The library of the films to learn from."""
        return self.work / "library"

    @property
    def films(self) -> Path:
        """The rendered films to learn from."""
        return self.work / "films"

    @property
    def unseen_library(self) -> Path:
        """The library of the films that no model learns from."""
        return self.work / "unseen-library"

    @property
    def unseen_films(self) -> Path:
        """The rendered films that no model learns from."""
        return self.work / "unseen-films"

    def list_overrides(self, recipe: str) -> list[str]:
        """Return the lines that fit a recipe to this device and these sizes."""
        lines = [f"training.device={self.device}", "training.trackers=[]"]
        if self.device == "cpu":
            lines += ["training.precision=32-true", "training.compile=false"]
        if self.is_dry and recipe != "adapt-heads":
            tower = "vit_tiny" if recipe == "vit-s" else "tiny"
            lines += [f"model.video={tower}", f"model.audio={tower}", "model.embedding_dim=16", "model.hidden_dim=16"]
            lines += self.sizes.small
        return lines
