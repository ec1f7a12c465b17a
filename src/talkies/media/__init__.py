"""Probe, decode and encode media: the only room that knows FFmpeg."""

from talkies.media.conform import Conformer, Picture, Sound
from talkies.media.encode import FilmWriter, VideoCoding
from talkies.media.probe import AudioTrack, MediaInfo, VideoTrack, looks_like_media, probe
from talkies.media.reader import SoundReader, VideoReader, rgb_of, write_wav

__all__ = [
    "AudioTrack",
    "Conformer",
    "FilmWriter",
    "MediaInfo",
    "Picture",
    "Sound",
    "SoundReader",
    "VideoCoding",
    "VideoReader",
    "VideoTrack",
    "looks_like_media",
    "probe",
    "rgb_of",
    "write_wav",
]
