"""What a media file holds, measured from its packets rather than read from what its container claims."""

from collections.abc import Callable, Mapping
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.reformatter import ColorRange, ColorTrc
from av.video.stream import VideoStream

from talkies.media.crop import FrameCrop, read_crop
from talkies.media.headers import is_cut_off
from talkies.media.probing.claims import ContainerClaims
from talkies.media.probing.clock import ClockRules
from talkies.media.probing.encryption import find_encrypted_tracks
from talkies.media.probing.media_info import AudioTrack, MediaInfo, VideoTrack
from talkies.media.probing.packet_scan import PacketScan
from talkies.media.probing.packet_stats import TrackTimes
from talkies.media.probing.programmes import read_programmes
from talkies.media.probing.tracks import (
    AudioChoice,
    TrackExtent,
    is_decodable,
    select_moving_pictures,
    select_tracks,
)
from talkies.media.source import open_media

_LATER_SECONDS = 2.0
"""Another video track goes on if it ends later than the chosen one by more than this."""
_HDR_NAMES = {int(ColorTrc.SMPTE2084): "pq", int(ColorTrc.ARIB_STD_B67): "hlg"}


def probe(path: Path, choice: AudioChoice | None = None, on_progress: Callable[[], object] | None = None) -> MediaInfo:
    """Return what a media file holds, from all of its packets.

    Args:
        path: the file.
        choice: which audio track talkies would use; None for the default one.
        on_progress: called now and then, because a large file on a slow disk takes minutes.

    Raises:
        MediaError: if the file is missing, empty or unreadable.
        SourceError: if the system does not let it be read.
    """
    with open_media(path) as container:
        rules = ClockRules.from_container(container)
        scan, claims = _scan(container, rules, on_progress)
        better_rules = scan.timeline.reconsider(claims.latest_end_seconds)
        if better_rules == rules:
            return _describe_file(path, container, scan, claims, choice)

    with open_media(path) as container:  # rarely: this file's clock is not what its format promises
        scan, claims = _scan(container, better_rules, on_progress)
        return _describe_file(path, container, scan, claims, choice)


def _scan(
    container: InputContainer, rules: ClockRules, on_progress: Callable[[], object] | None
) -> tuple[PacketScan, ContainerClaims]:
    """Read all packets; return what they show, and what the container claims."""
    scan = PacketScan(container, rules)
    scan.run(on_progress)
    return scan, ContainerClaims.read(container, scan.stats.count_packets())


def _describe_file(
    path: Path, container: InputContainer, scan: PacketScan, claims: ContainerClaims, choice: AudioChoice | None
) -> MediaInfo:
    videos, audios = container.streams.video, container.streams.audio
    moving = select_moving_pictures(videos)
    if scan.timeline.jumps:
        claims = ContainerClaims()  # they are about a clock that is not believed

    # Select the tracks.
    times = {stream.index: scan.stats[stream.index].finish() for stream in (*videos, *audios)}
    extents = {index: TrackExtent(track.packets, track.duration_seconds) for index, track in times.items()}
    programme_of = _find_programmes(path, container)
    video, audio = select_tracks(videos, audios, extents, choice, programme_of=programme_of)

    # Describe them: a last picture lasts what container and sound agree on.
    sound_end = times[audio.index].end_seconds if audio else None
    for stream in moving:
        times[stream.index] = claims.correct_picture_end(
            stream.index, scan.stats[stream.index], times[stream.index], sound_end
        )
    tracks = _TrackDescriber(scan, claims, times, find_encrypted_tracks(path, container))
    audio_tracks = {stream.index: tracks.describe_audio(stream, number) for number, stream in enumerate(audios, 1)}
    return MediaInfo(
        container=container.format.name,
        claimed_seconds=claims.end_seconds,
        video=tracks.describe_video(video) if video else None,
        audio=audio_tracks[audio.index] if audio else None,
        video_tracks=len(moving),
        audio_tracks=tuple(audio_tracks.values()),
        subtitle_languages=tuple(stream.language or "und" for stream in container.streams.subtitles),
        cover_art=len(moving) < len(videos),
        unreadable_end=scan.unreadable_end or ("mp4" in container.format.name and is_cut_off(path)),
        jumps=tuple((jump.at_seconds, jump.source_seconds) for jump in scan.timeline.jumps),
        longest_end_seconds=max([scan.subtitle_end_seconds, *(track.end_seconds or 0.0 for track in times.values())]),
        clock=scan.timeline.rules,
        programmes=max(1, len({programme_of[stream.index] for stream in moving if stream.index in programme_of})),
        later_video_end_seconds=_find_later_end(video, moving, times, programme_of),
        late_tracks=scan.late_tracks,
    )


def _find_programmes(path: Path, container: InputContainer) -> Mapping[int, int]:
    """Return the programme of each track of a transport stream by stream index; empty for other files."""
    programmes = read_programmes(path) if container.format.name == "mpegts" else {}
    return {stream.index: programmes[stream.id] for stream in container.streams if stream.id in programmes}


def _find_later_end(
    chosen: VideoStream | None,
    videos: list[VideoStream],
    times: Mapping[int, TrackTimes],
    programme_of: Mapping[int, int],
) -> float | None:
    """Return where another video track of the same programme ends, if one goes on after the chosen one."""
    if chosen is None:
        return None
    others = [
        times[stream.index].end_seconds or 0.0
        for stream in videos
        if times[stream.index].packets > 1 and programme_of.get(stream.index) == programme_of.get(chosen.index)
    ]
    latest = max(others, default=0.0)
    return latest if latest > (times[chosen.index].end_seconds or 0.0) + _LATER_SECONDS else None


class _TrackDescriber:
    """Describes tracks by their packets, their first frames and what the container claims."""

    def __init__(
        self, scan: PacketScan, claims: ContainerClaims, times: Mapping[int, TrackTimes], encrypted: frozenset[int]
    ) -> None:
        self._scan, self._claims, self._times, self._encrypted = scan, claims, times, encrypted

    def describe_video(self, stream: VideoStream) -> VideoTrack:
        picture = self._scan.first_frames.get_picture(stream.index)
        packet_stats, times = self._scan.stats[stream.index], self._times[stream.index]
        decodable, context = is_decodable(stream), stream.codec_context
        crop = _read_crop(stream) if decodable else None
        aspect = (crop.pixel_aspect if crop else None) or str(stream.sample_aspect_ratio or 1)
        return VideoTrack(
            index=stream.index,
            codec=context.codec.canonical_name if decodable else None,
            width=context.width if decodable else 0,
            height=context.height if decodable else 0,
            pixel_format=context.pix_fmt if decodable else None,
            pixel_aspect=aspect if decodable else "1",
            rotation_degrees=picture.rotation % 360 if picture else 0,
            interlaced=picture.interlaced_frame if picture else False,
            hdr=_HDR_NAMES.get(int(picture.color_trc)) if picture else None,
            full_range=picture.color_range == ColorRange.JPEG if picture else False,
            fps=packet_stats.fps,
            constant_rate=packet_stats.constant_rate,
            key_frames=packet_stats.key_frames,
            longest_key_frame_distance_seconds=packet_stats.longest_key_frame_distance_seconds,
            claimed_seconds=self._claims.find_track_seconds(stream.index, times),
            decodes=self._scan.first_frames.has_decoded(stream.index),
            times=times,
            crop=crop,
            encrypted=stream.index in self._encrypted,
        )

    def describe_audio(self, stream: AudioStream, number: int) -> AudioTrack:
        decodable, context, times = is_decodable(stream), stream.codec_context, self._times[stream.index]
        return AudioTrack(
            number=number,
            index=stream.index,
            codec=context.codec.canonical_name if decodable else None,
            rate_hz=context.sample_rate if decodable else 0,
            channels=context.channels if decodable else 0,
            layout=context.layout.name if decodable and context.channels else None,
            language=stream.language,
            title=stream.metadata.get("title"),
            decodes=self._scan.first_frames.has_decoded(stream.index),
            times=times,
            claimed_seconds=self._claims.find_track_seconds(stream.index, times),
            encrypted=stream.index in self._encrypted,
        )


def _read_crop(stream: VideoStream) -> FrameCrop | None:
    container, size = stream.container, (stream.codec_context.width, stream.codec_context.height)
    number = [other.index for other in container.streams.video].index(stream.index)
    return read_crop(Path(container.name.removeprefix("file:")), container.format.name, number, stream.id, size)
