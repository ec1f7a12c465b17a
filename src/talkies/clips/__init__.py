"""From clip requests to batches: read and verify clips, load a training plan, pass over whole films."""

from talkies.clips.config import ClipConfig
from talkies.clips.doctor import DoctorReport, Step, examine
from talkies.clips.file_clips import collate_in_batches, read_file_clips
from talkies.clips.file_windows import (
    FileWindows,
    cut_audio_windows,
    cut_file_windows,
    cut_video_windows,
    read_file_windows,
)
from talkies.clips.film_pass import choose_workers, list_windows, read_batches, read_films
from talkies.clips.framing import find_bars_of_pictures, square_pictures
from talkies.clips.loader import LoaderConfig, check_decoder, load_batches
from talkies.clips.source import ClipSource, collate
from talkies.clips.throughput import WorkerThroughput, measure_workers
from talkies.clips.training_clips import TrainingClips, open_training_clips
from talkies.clips.workers import read_by_workers
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig

__all__ = [
    "BatchPlan",
    "ClipConfig",
    "ClipSource",
    "DoctorReport",
    "FileWindows",
    "FilmSpans",
    "LoaderConfig",
    "SamplingConfig",
    "Step",
    "TrainingClips",
    "WorkerThroughput",
    "check_decoder",
    "choose_workers",
    "collate",
    "collate_in_batches",
    "cut_audio_windows",
    "cut_file_windows",
    "cut_video_windows",
    "examine",
    "find_bars_of_pictures",
    "list_windows",
    "load_batches",
    "measure_workers",
    "open_training_clips",
    "read_batches",
    "read_by_workers",
    "read_file_clips",
    "read_file_windows",
    "read_films",
    "square_pictures",
]
