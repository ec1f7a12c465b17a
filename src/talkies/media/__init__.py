"""Probe, decode and encode media: the only room that knows FFmpeg."""

from talkies.media.decode_file import DecodedFile, decode_file
from talkies.media.encode import FilmWriter, VideoCoding
from talkies.media.frames import picture_at_start
from talkies.media.original import Original
from talkies.media.probe import AudioTrack, MediaInfo, VideoTrack, probe
from talkies.media.query_file import QueryFile, read_query_file
from talkies.media.reader import INGEST_AGAIN, SoundReader, VideoReader, rgb_of, write_wav
from talkies.media.resample import FilmResampler, Picture, ResampleReport, Sound
from talkies.media.suffixes import looks_like_film, looks_like_media
from talkies.media.tracks import AudioChoice

__all__ = [
    "INGEST_AGAIN",
    "AudioChoice",
    "AudioTrack",
    "DecodedFile",
    "FilmResampler",
    "FilmWriter",
    "MediaInfo",
    "Original",
    "Picture",
    "QueryFile",
    "ResampleReport",
    "Sound",
    "SoundReader",
    "VideoCoding",
    "VideoReader",
    "VideoTrack",
    "decode_file",
    "looks_like_film",
    "looks_like_media",
    "picture_at_start",
    "probe",
    "read_query_file",
    "rgb_of",
    "write_wav",
]
