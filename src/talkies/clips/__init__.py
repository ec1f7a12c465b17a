"""From requests to batches: read, verify, collate, load."""

from talkies.clips.config import ClipConfig
from talkies.clips.doctor import Examination, Step, examine
from talkies.clips.files import clips_of_file
from talkies.clips.loader import LoaderConfig, loader
from talkies.clips.source import ClipSource, collate
from talkies.clips.speed import WorkersSpeed, speed_of_workers
from talkies.clips.training import TrainingClips, open_for_training
from talkies.clips.windows import film_windows, sequential_batches
from talkies.clips.workers import cores, read_by_workers
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig

__all__ = [
    "BatchPlan",
    "ClipConfig",
    "ClipSource",
    "Examination",
    "FilmSpans",
    "LoaderConfig",
    "SamplingConfig",
    "Step",
    "TrainingClips",
    "WorkersSpeed",
    "clips_of_file",
    "collate",
    "cores",
    "examine",
    "film_windows",
    "loader",
    "open_for_training",
    "read_by_workers",
    "sequential_batches",
    "speed_of_workers",
]
