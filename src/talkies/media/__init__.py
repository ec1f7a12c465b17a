"""Probe, decode and encode media: the only room that knows FFmpeg."""

from talkies.media.anyfile import ShownFile, read_shown
from talkies.media.conform import Conformer, ConformReport, Picture, Sound
from talkies.media.develop import picture_at_start
from talkies.media.encode import FilmWriter, VideoCoding
from talkies.media.original import Original
from talkies.media.probe import AudioTrack, MediaInfo, VideoTrack, probe
from talkies.media.reader import INGEST_AGAIN, SoundReader, VideoReader, rgb_of, write_wav
from talkies.media.short import ShortMedia, read_short
from talkies.media.suffixes import looks_like_film, looks_like_media
from talkies.media.tracks import AudioChoice

__all__ = [
    "INGEST_AGAIN",
    "AudioChoice",
    "AudioTrack",
    "ConformReport",
    "Conformer",
    "FilmWriter",
    "MediaInfo",
    "Original",
    "Picture",
    "ShortMedia",
    "ShownFile",
    "Sound",
    "SoundReader",
    "VideoCoding",
    "VideoReader",
    "VideoTrack",
    "looks_like_film",
    "looks_like_media",
    "picture_at_start",
    "probe",
    "read_short",
    "read_shown",
    "rgb_of",
    "write_wav",
]
