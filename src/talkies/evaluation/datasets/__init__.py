"""The field's labelled data sets, each read from its publishers' own layout; docs/datasets.md describes the layouts."""

from functools import partial

from talkies.evaluation.datasets.audioset import read_audioset
from talkies.evaluation.datasets.ave import read_ave
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, check_published
from talkies.evaluation.datasets.dcase2014 import read_dcase2014
from talkies.evaluation.datasets.esc import read_esc10, read_esc50
from talkies.evaluation.datasets.folders import read_audio_folder, read_video_folder
from talkies.evaluation.datasets.hmdb51 import read_hmdb51
from talkies.evaluation.datasets.kinetics import read_kinetics, read_kinetics_sounds
from talkies.evaluation.datasets.reader import DataSetReader
from talkies.evaluation.datasets.speech_commands import read_speech_commands
from talkies.evaluation.datasets.ssv2 import read_ssv2
from talkies.evaluation.datasets.ucf101 import read_ucf101
from talkies.evaluation.datasets.urbansound8k import read_urbansound8k
from talkies.evaluation.datasets.vggsound import read_vggsound

READERS: dict[str, DataSetReader] = {
    "ucf101": DataSetReader(read_ucf101),
    "hmdb51": DataSetReader(read_hmdb51),
    "kinetics400": DataSetReader(partial(read_kinetics, number=400)),
    "kinetics600": DataSetReader(partial(read_kinetics, number=600)),
    "kinetics700": DataSetReader(partial(read_kinetics, number=700)),
    "ssv2": DataSetReader(read_ssv2),
    "video-folder": DataSetReader(read_video_folder, options=("group", "folds", "seed")),
    "esc50": DataSetReader(read_esc50),
    "esc10": DataSetReader(read_esc10),
    "dcase2014": DataSetReader(read_dcase2014),
    "urbansound8k": DataSetReader(read_urbansound8k),
    "speech-commands": DataSetReader(read_speech_commands),
    "audioset": DataSetReader(read_audioset, options=("subset",)),
    "audio-folder": DataSetReader(read_audio_folder, options=("group", "folds", "seed")),
    "kinetics-sounds": DataSetReader(read_kinetics_sounds),
    "vggsound": DataSetReader(read_vggsound),
    "ave": DataSetReader(read_ave),
}
"""The reader of each data set, by the name that `talkies evaluate` knows it by."""

__all__ = ["READERS", "DataSet", "DataSetReader", "Example", "Published", "Split", "check_published"]
