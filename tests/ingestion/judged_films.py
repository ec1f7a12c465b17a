"""Made-up facts about films, for the tests of the judge: a good film, and whatever is said to be different about it."""

from typing import Any

from talkies.ingestion.config import Thresholds
from talkies.ingestion.judge import judge_film
from talkies.library import Measures, Reason
from talkies.media import AudioTrack, MediaInfo, VideoTrack
from talkies.media.probing.packet_stats import TrackTimes

FPS = 16


def times(**changes: Any) -> TrackTimes:
    values: dict[str, Any] = {
        "time_base": "1/1000", "packets": 250, "encrypted_packets": 0, "corrupt_packets": 0, "discarded_packets": 0,
        "skipped_samples": 0, "start_seconds": 0.0, "end_seconds": 10.0, "gaps": 0, "longest_gap_seconds": 0.0,
    }  # fmt: skip
    return TrackTimes(**(values | changes))


def video(times_: TrackTimes | None = None, **changes: Any) -> VideoTrack:
    values: dict[str, Any] = {
        "index": 0, "codec": "h264", "width": 640, "height": 480, "pixel_format": "yuv420p", "pixel_aspect": "1",
        "rotation_degrees": 0, "interlaced": False, "hdr": None, "full_range": False, "fps": 25.0,
        "constant_rate": True, "key_frames": 10, "longest_key_frame_distance_seconds": 1.0, "claimed_seconds": 10.0,
        "decodes": True, "times": times_ or times(),
    }  # fmt: skip
    return VideoTrack(**(values | changes))


def audio(times_: TrackTimes | None = None, **changes: Any) -> AudioTrack:
    values: dict[str, Any] = {
        "number": 1, "index": 1, "codec": "aac", "rate_hz": 48_000, "channels": 2, "layout": "stereo",
        "language": None, "title": None, "decodes": True, "times": times_ or times(),
    }  # fmt: skip
    return AudioTrack(**(values | changes))


def info(**changes: Any) -> MediaInfo:
    values: dict[str, Any] = {
        "container": "mov", "claimed_seconds": 10.0, "video": video(), "audio": audio(), "video_tracks": 1,
        "audio_tracks": (audio(),), "subtitle_languages": (), "cover_art": False, "unreadable_end": False, "jumps": (),
    }  # fmt: skip
    return MediaInfo(**(values | changes))


def measures(**changes: Any) -> Measures:
    values: dict[str, Any] = {
        "video_packets": 200, "audio_packets": 100, "damaged_video_packets": 0, "damaged_audio_packets": 0,
        "origin_seconds": 0.0, "sound_start_seconds": 0.0, "sound_end_seconds": 10.0, "sound_gaps": 0,
        "peak_dbfs": -3.0, "black_frames": 0, "still_frames": 0, "silent_frames": 0, "damaged_frames": 0,
    }  # fmt: skip
    return Measures(**(values | changes))


def codes(reasons: tuple[Reason, ...]) -> list[str]:
    return [reason.code for reason in reasons]


def judged_after(frames: int = 160, info_: MediaInfo | None = None, **changes: Any) -> tuple[Reason, ...]:
    return judge_film(info_ or info(), Thresholds(), measures(**changes), frames, FPS)
