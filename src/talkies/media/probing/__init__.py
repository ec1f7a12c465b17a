"""Probe a media file: its tracks and programmes, its clock, what it claims and what is there; without decoding it."""

from talkies.media.probing.clock import ClockRules, Timeline
from talkies.media.probing.media_info import AudioTrack, MediaInfo, VideoTrack
from talkies.media.probing.packet_stats import TrackTimes
from talkies.media.probing.probe import probe
from talkies.media.probing.tracks import AudioChoice, select_moving_pictures

__all__ = [
    "AudioChoice",
    "AudioTrack",
    "ClockRules",
    "MediaInfo",
    "Timeline",
    "TrackTimes",
    "VideoTrack",
    "probe",
    "select_moving_pictures",
]
