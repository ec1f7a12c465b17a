"""Probe, decode, resample and encode media; the only package that uses FFmpeg."""

from talkies.media.audio_reader import AudioReader, open_wav_writer
from talkies.media.bars import BarFinder, find_bars_of_picture
from talkies.media.crop import FrameCrop
from talkies.media.decode_file import MAX_QUERY_BYTES, DecodedFile, decode_file
from talkies.media.encode import FilmWriter, X264Settings
from talkies.media.frame_timeline import ResampledFrame
from talkies.media.frames import read_first_picture
from talkies.media.library_file import INGEST_AGAIN
from talkies.media.original_reader import OriginalReader
from talkies.media.probing import AudioChoice, AudioTrack, MediaInfo, VideoTrack, probe
from talkies.media.proxy_reader import ProxyReader
from talkies.media.query_file import QueryFile, read_query_file
from talkies.media.resample import FilmResampler, ResampledAudio, ResampleReport
from talkies.media.suffixes import has_film_suffix, has_media_suffix
from talkies.media.video_reader import RgbConverter, VideoReader, scale_pictures, yuv_to_rgb

__all__ = [
    "INGEST_AGAIN",
    "MAX_QUERY_BYTES",
    "AudioChoice",
    "AudioReader",
    "AudioTrack",
    "BarFinder",
    "DecodedFile",
    "FilmResampler",
    "FilmWriter",
    "FrameCrop",
    "MediaInfo",
    "OriginalReader",
    "ProxyReader",
    "QueryFile",
    "ResampleReport",
    "ResampledAudio",
    "ResampledFrame",
    "RgbConverter",
    "VideoReader",
    "VideoTrack",
    "X264Settings",
    "decode_file",
    "find_bars_of_picture",
    "has_film_suffix",
    "has_media_suffix",
    "open_wav_writer",
    "probe",
    "read_first_picture",
    "read_query_file",
    "scale_pictures",
    "yuv_to_rgb",
]
