"""The values that `probe` returns: a media file and its tracks."""

from talkies.config import Config
from talkies.media.crop import FrameCrop
from talkies.media.probing.clock import ClockRules
from talkies.media.probing.packet_stats import TrackTimes


class VideoTrack(Config):
    """A video track; `codec` is None if FFmpeg has no decoder for it; width and height are pixels as coded.

    `hdr` is `pq`, `hlg` or None; `decodes` is false if the first packets gave no frame. `claimed_seconds` is how long
    the track itself claims to be, None where the container says it of the whole file only; `crop` is what the container
    hides of each picture, and `encrypted` whether it says that the track is encrypted.
    """

    index: int
    codec: str | None
    width: int
    height: int
    pixel_format: str | None
    pixel_aspect: str
    rotation_degrees: int
    interlaced: bool
    hdr: str | None
    full_range: bool
    fps: float | None
    constant_rate: bool
    key_frames: int
    longest_key_frame_distance_seconds: float | None
    claimed_seconds: float | None
    decodes: bool
    times: TrackTimes
    crop: FrameCrop | None = None
    encrypted: bool = False


class AudioTrack(Config):
    """An audio track; `number` counts the file's audio tracks from 1; the other fields are as for `VideoTrack`."""

    number: int
    index: int
    codec: str | None
    rate_hz: int
    channels: int
    layout: str | None
    language: str | None
    title: str | None
    decodes: bool
    times: TrackTimes
    claimed_seconds: float | None = None
    encrypted: bool = False


class MediaInfo(Config):
    """A media file: its container, the duration it claims, its tracks, and the `video` and `audio` talkies would use.

    Attributes:
        claimed_seconds: how long the container claims to be; None if it claims nothing, as MPEG-TS does.
        longest_end_seconds: where the longest track ends by its packets, subtitles included.
        clock: the rules by which the file's timestamps were corrected.
        jumps: where the file's clock jumps: seconds on the corrected timeline, seconds on the file's own clock.
        programmes: how many programmes a transport stream carries; `video` and `audio` are of one of them.
        later_video_end_seconds: where another video track ends, if one goes on after `video` ends.
        late_tracks: whether tracks begin in the file that it does not announce at its start.
    """

    container: str
    claimed_seconds: float | None
    video: VideoTrack | None
    audio: AudioTrack | None
    video_tracks: int
    audio_tracks: tuple[AudioTrack, ...]
    subtitle_languages: tuple[str, ...]
    cover_art: bool
    unreadable_end: bool
    jumps: tuple[tuple[float, float], ...]
    longest_end_seconds: float | None = None
    clock: ClockRules = ClockRules()
    programmes: int = 1
    later_video_end_seconds: float | None = None
    late_tracks: bool = False
