"""The field's data sets, each read as its publishers lay it on disk; docs/datasets.md says how."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from talkies.evaluation.datasets.audioset import read_audioset
from talkies.evaluation.datasets.ave import read_ave
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, check_published
from talkies.evaluation.datasets.dcase2014 import read_dcase2014
from talkies.evaluation.datasets.esc import read_esc10, read_esc50
from talkies.evaluation.datasets.folders import read_audio_folder, read_video_folder
from talkies.evaluation.datasets.hmdb51 import read_hmdb51
from talkies.evaluation.datasets.kinetics import read_kinetics, read_kinetics_sounds
from talkies.evaluation.datasets.speech_commands import read_speech_commands
from talkies.evaluation.datasets.ssv2 import read_ssv2
from talkies.evaluation.datasets.ucf101 import read_ucf101
from talkies.evaluation.datasets.urbansound8k import read_urbansound8k
from talkies.evaluation.datasets.vggsound import read_vggsound

Reader: TypeAlias = Callable[..., DataSet]
"""Takes the data set's folder, and by keyword the options that its signature names."""

READERS: dict[str, Reader] = {
    "ucf101": read_ucf101,
    "hmdb51": read_hmdb51,
    "kinetics400": partial(read_kinetics, number=400),
    "kinetics600": partial(read_kinetics, number=600),
    "kinetics700": partial(read_kinetics, number=700),
    "ssv2": read_ssv2,
    "video-folder": read_video_folder,
    "esc50": read_esc50,
    "esc10": read_esc10,
    "dcase2014": read_dcase2014,
    "urbansound8k": read_urbansound8k,
    "speech-commands": read_speech_commands,
    "audioset": read_audioset,
    "audio-folder": read_audio_folder,
    "kinetics-sounds": read_kinetics_sounds,
    "vggsound": read_vggsound,
    "ave": read_ave,
}

__all__ = ["READERS", "DataSet", "Example", "Published", "Reader", "Split", "check_published"]
