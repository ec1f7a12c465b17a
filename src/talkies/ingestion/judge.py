"""Judge a film: a pure function that returns all reasons to reject a film or to warn about it."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from talkies.core import format_count
from talkies.ingestion.config import Thresholds
from talkies.library import Measures, Reason, Verdict
from talkies.media import AudioTrack, FrameCrop, MediaInfo, VideoTrack

IMPORTANCE = (
    "empty", "unreadable", "crashed", "timed_out", "out_of_memory", "encrypted", "unknown_video_codec",
    "unknown_audio_codec", "no_video", "cover_art", "no_audio", "empty_video", "empty_audio", "undecodable_video",
    "undecodable_audio", "damaged", "bad_shape", "too_short", "duplicate", "truncated", "undecodable_start",
    "damaged_packets", "time_jumps", "bad_crop", "bad_sound_clock", "channels_left_out", "sound_left_out",
    "short_audio", "late_audio", "other_tracks", "other_programmes", "silent_audio", "black_video", "still_video",
    "picture_gaps",
)  # fmt: skip
"""Every reason's code, most important first."""


def decide_verdict(reasons: tuple[Reason, ...]) -> Verdict:
    """Return the verdict that follows from the reasons."""
    if any(reason.rejects for reason in reasons):
        return Verdict.REJECTED
    return Verdict.WARNED if reasons else Verdict.ACCEPTED


def judge_film(
    info: MediaInfo, thresholds: Thresholds, measures: Measures | None = None, frames: int = 0, fps: int = 1
) -> tuple[Reason, ...]:
    """Return all reasons against a film, most important first.

    Args:
        info: What the packets of the file show.
        thresholds: The limits of the reasons.
        measures: What decoding the film showed; without them the film is judged by its packets only.
        frames: The film's length as decoded, in frames at `fps`; used only with `measures`.
        fps: The frame rate of `frames`.
    """
    reasons = [*_check_tracks(info), *_check_shape(info, thresholds), *_check_other_tracks(info)]
    lost_start_seconds = 0.0
    if measures is None:
        seconds = info.video.times.duration_seconds if info.video else 0.0
    else:
        seconds = frames / fps
        lost_start_seconds = _compute_lost_start(info, measures)
        reasons += _check_decoding(measures, lost_start_seconds, thresholds)
        reasons += _check_content(measures, frames, thresholds)
        reasons += _check_start(lost_start_seconds, measures, thresholds)
        reasons += _check_mix(measures, info)
        reasons += _check_sound_times(measures, seconds, thresholds)
    reasons += _check_times(info, seconds, thresholds)
    reasons += _check_claims(info, lost_start_seconds + seconds, thresholds)
    return sort_reasons(reasons)


def sort_reasons(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return the reasons, most important first."""
    return tuple(sorted(reasons, key=lambda reason: IMPORTANCE.index(reason.code)))


def make_rejection(code: str, text: str) -> Reason:
    """Return a reason that rejects."""
    return Reason(code=code, text=text, rejects=True)


def _check_tracks(info: MediaInfo) -> Iterator[Reason]:
    """Yield reasons against the presence of either track, or against the track itself."""
    if info.video is not None:
        yield from _check_track("video", info.video)
    elif info.cover_art:
        yield make_rejection("cover_art", "its only picture is cover art; talkies needs picture and sound")
    else:
        yield make_rejection("no_video", "it has no video track; talkies needs picture and sound")

    if info.audio is not None:
        yield from _check_track("audio", info.audio)
    elif info.audio_tracks:
        tracks = ", ".join(f"{track.number} ({track.language or 'unknown language'})" for track in info.audio_tracks)
        yield make_rejection("no_audio", f"it does not have the audio track that was chosen; its tracks are {tracks}")
    else:
        yield make_rejection("no_audio", "it has no audio track; talkies needs picture and sound")


def _check_track(kind: str, track: VideoTrack | AudioTrack) -> Iterator[Reason]:
    """Yield the reason why the track cannot be decoded, if there is one."""
    if track.encrypted or track.times.encrypted_packets > 0:
        yield make_rejection("encrypted", f"its {kind} track is encrypted; ingest a decrypted copy")
    elif not track.times.packets:
        yield make_rejection(f"empty_{kind}", f"its {kind} track is declared but empty")
    elif track.codec is None:
        yield make_rejection(f"unknown_{kind}_codec", f"FFmpeg has no decoder for its {kind} track")
    elif not track.decodes:
        yield make_rejection(f"undecodable_{kind}", f"nothing of its {kind} track can be decoded")


def _check_shape(info: MediaInfo, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield the reasons against a picture that is too wide or too tall, in display pixels, or badly cropped."""
    video = info.video
    if video is None or not video.width or not video.height:
        return
    if video.crop is not None and video.crop.ignored:
        yield Reason(code="bad_crop", text=video.crop.ignored)
    crop = video.crop or FrameCrop()
    width = float((video.width - crop.left - crop.right) * Fraction(video.pixel_aspect))
    height = float(video.height - crop.top - crop.bottom)
    if max(width, height) > thresholds.most_aspect * min(width, height):
        text = (
            f"a picture of {width:.0f} × {height:.0f} pixels is too wide or too tall for a film; "
            f"one side may be at most {thresholds.most_aspect:g} times the other"
        )
        yield make_rejection("bad_shape", text)


def _check_times(info: MediaInfo, seconds: float, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against the length and the timestamps of the picture, which lasts `seconds`."""
    if info.video is None or not info.video.times.packets:
        return
    times = info.video.times

    if times.start_seconds is not None and seconds < thresholds.shortest_seconds - 1e-6:
        text = f"its picture lasts {seconds:.2f} s; a film lasts at least {thresholds.shortest_seconds:g} s"
        yield make_rejection("too_short", text)

    if info.jumps:
        count, first = format_count(len(info.jumps), "time"), info.jumps[0][0]
        text = f"its timestamps jump {count}, first at {first:.2f} s; they are treated as continuous there"
        yield Reason(code="time_jumps", text=text)

    if times.gaps:
        text = f"its picture has {format_count(times.gaps, 'gap')}, of up to {times.longest_gap_seconds:.2f} s"
        yield Reason(code="picture_gaps", text=text)


def _check_claims(info: MediaInfo, seconds: float, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against a film that breaks off; its picture can be read for `seconds`, decodable or not.

    Each track is held against what it claims of itself. A claim for the file as a whole is that of its longest track.
    """
    if info.video is None or not info.video.times.packets:
        return
    read = [("picture", info.video.claimed_seconds, min(seconds, info.video.times.duration_seconds))]
    if info.audio is not None and info.audio.times.packets:
        read.append(("sound", info.audio.claimed_seconds, info.audio.times.duration_seconds))

    missing = 0.0 if info.jumps else thresholds.missing_seconds
    text = None
    for what, claimed, read_seconds in read if missing else ():
        if text is None and claimed is not None and claimed - read_seconds > missing:
            text = f"the container claims {claimed:.2f} s, but only {read_seconds:.2f} s of {what} could be read"
    if text is None and missing and info.claimed_seconds and info.video.claimed_seconds is None:
        longest = max([info.longest_end_seconds or 0.0, *(read_seconds for _, _, read_seconds in read)])
        if info.claimed_seconds - longest > missing:
            text = f"the container claims {info.claimed_seconds:.2f} s, but only {longest:.2f} s could be read"
    if text is None and info.unreadable_end:
        text = f"the file cannot be read past {seconds:.2f} s of picture"
    if text is not None:
        yield Reason(code="truncated", text=text)


def _check_other_tracks(info: MediaInfo) -> Iterator[Reason]:
    """Yield reasons against what the tracks that were not selected hold."""
    if info.programmes > 1:
        size = f", the one with a picture of {info.video.width} × {info.video.height} pixels" if info.video else ""
        text = f"it carries {info.programmes} programmes; only one is taken{size}"
        yield Reason(code="other_programmes", text=text)

    if info.video is None:
        return
    seconds = info.video.times.duration_seconds
    if info.later_video_end_seconds is not None:
        later_seconds = info.later_video_end_seconds - (info.video.times.start_seconds or 0.0)
        text = (
            f"its picture ends at {seconds:.2f} s, and another picture track goes on to {later_seconds:.2f} s; "
            "that one is left out"
        )
        yield Reason(code="other_tracks", text=text)
    elif info.late_tracks:
        text = (
            f"after {seconds:.2f} s it goes on in tracks that its start does not announce; they are left out; "
            "split the file there to have both parts"
        )
        yield Reason(code="other_tracks", text=text)


def _compute_lost_start(info: MediaInfo, measures: Measures) -> float:
    """Return how many seconds of picture come before the first one that can be decoded."""
    start = info.video.times.start_seconds if info.video else None
    return 0.0 if start is None else max(0.0, measures.origin_seconds - start)


def _check_start(lost_seconds: float, measures: Measures, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against picture and sound that come before the first picture that can be decoded."""
    if lost_seconds > thresholds.left_out_seconds:
        text = (
            f"its first {lost_seconds:.2f} s of picture cannot be decoded; the film starts after them, and the sound "
            "under them is left out"
        )
        yield Reason(code="undecodable_start", text=text)
    lead_seconds = -(measures.sound_start_seconds or 0.0) - lost_seconds
    if lead_seconds > thresholds.left_out_seconds:
        text = f"the sound starts {lead_seconds:.2f} s before the first picture; that part of it is left out"
        yield Reason(code="sound_left_out", text=text)


def _check_decoding(measures: Measures, lost_start_seconds: float, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against packets that could not be decoded, and against the audio's timestamps.

    Packets before the first picture are not damaged where the start of the picture is missing, which is told.
    """
    start_packets = measures.damaged_start_packets if lost_start_seconds > thresholds.left_out_seconds else 0
    for kind, damaged, packets in (
        ("video", measures.damaged_video_packets - start_packets, measures.video_packets - start_packets),
        ("audio", measures.damaged_audio_packets, measures.audio_packets),
    ):
        text = f"{damaged} of {packets} {kind} packets could not be decoded as stored"
        if damaged > thresholds.most_damaged * packets:
            yield make_rejection("damaged", f"{text}; at most {thresholds.most_damaged:.0%} may be damaged")
        elif damaged:
            yield Reason(code="damaged_packets", text=text)

    if measures.sound_end_seconds is None:
        yield make_rejection("undecodable_audio", "nothing of its audio track can be decoded")
    elif measures.sound_laid_end_to_end:
        text = "its audio timestamps span far less time than its audio; placed end to end, it may be out of sync"
        yield Reason(code="bad_sound_clock", text=text)


def _check_content(measures: Measures, frames: int, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against a film that is silent, black or still from start to end."""
    has_sound = measures.sound_end_seconds is not None
    if has_sound and (measures.peak_dbfs is None or measures.peak_dbfs <= thresholds.silent_dbfs):
        yield Reason(code="silent_audio", text="its sound is silent from start to end")
    if frames and measures.black_frames == frames:
        yield Reason(code="black_video", text="its picture is black from start to end")
    if frames and measures.still_frames == frames and not measures.changes:
        yield Reason(code="still_video", text="its picture is still from start to end")


def _check_mix(measures: Measures, info: MediaInfo) -> Iterator[Reason]:
    """Yield the reason that not all channels are in the sound, because a mix of all would have lost some of it."""
    texts: list[str] = []
    if channels := measures.sound_channels:
        *first, last = map(str, channels)
        used = f"channels {', '.join(first)} and {last} are" if first else f"channel {last} is"
        count = f"{info.audio.channels} " if info.audio else ""
        texts.append(f"a mono mix of all its {count}channels would lose sound; only {used} used")
    if lost := measures.sound_lost_in_mix_seconds:
        texts.append(f"for {lost:.2f} s a mono mix would lose the sound; the loudest channel is used there")
    if texts:
        yield Reason(code="channels_left_out", text="; ".join(texts))


def _check_sound_times(measures: Measures, seconds: float, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against sound that starts late or ends early; the picture lasts `seconds`."""
    if measures.sound_start_seconds is None or measures.sound_end_seconds is None:
        return
    if (missing := seconds - measures.sound_end_seconds) > thresholds.short_sound_seconds:
        yield Reason(code="short_audio", text=f"the sound ends {missing:.2f} s before the picture")
    elif -missing > thresholds.left_out_seconds:
        text = f"the sound goes on for {-missing:.2f} s after the last picture; that part of it is left out"
        yield Reason(code="sound_left_out", text=text)
    if (delay := measures.sound_start_seconds) > thresholds.late_sound_seconds:
        yield Reason(code="late_audio", text=f"the sound starts {delay:.2f} s after the picture")
