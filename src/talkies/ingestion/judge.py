"""Judge a film: a pure function that returns all reasons to reject a film or to warn about it."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from talkies.core import format_count
from talkies.ingestion.config import Thresholds
from talkies.library import Measures, Reason, Verdict
from talkies.media import AudioTrack, MediaInfo, VideoTrack

IMPORTANCE = (
    "empty", "unreadable", "crashed", "timed_out", "out_of_memory", "encrypted", "unknown_video_codec",
    "unknown_audio_codec", "no_video", "cover_art", "no_audio", "empty_video", "empty_audio", "undecodable_video",
    "undecodable_audio", "damaged", "bad_shape", "too_short", "duplicate", "truncated", "damaged_packets", "time_jumps",
    "bad_sound_clock", "channels_left_out", "short_audio", "late_audio", "silent_audio", "black_video", "still_video",
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
    reasons = [*_check_tracks(info), *_check_shape(info, thresholds)]
    if measures is None:
        seconds = info.video.times.duration_seconds if info.video else 0.0
    else:
        seconds = frames / fps
        reasons += _check_decoding(measures, thresholds)
        reasons += _check_content(measures, frames, thresholds)
        reasons += _check_mix(measures, info)
        reasons += _check_sound_times(measures, seconds, thresholds)
    reasons += _check_times(info, seconds, thresholds)
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
    if not track.times.packets:
        yield make_rejection(f"empty_{kind}", f"its {kind} track is declared but empty")
    elif track.times.encrypted_packets > 0:
        yield make_rejection("encrypted", f"its {kind} track is encrypted; ingest a decrypted copy")
    elif track.codec is None:
        yield make_rejection(f"unknown_{kind}_codec", f"FFmpeg has no decoder for its {kind} track")
    elif not track.decodes:
        yield make_rejection(f"undecodable_{kind}", f"nothing of its {kind} track can be decoded")


def _check_shape(info: MediaInfo, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield the reason against a picture that is too wide or too tall, in display pixels."""
    video = info.video
    if video is None or not video.width or not video.height:
        return
    width, height = float(video.width * Fraction(video.pixel_aspect)), float(video.height)
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

    claimed = info.video.claimed_seconds or info.claimed_seconds or 0.0
    if not info.jumps and claimed - seconds > thresholds.missing_seconds:
        text = f"the container claims {claimed:.2f} s, but only {seconds:.2f} s of picture could be read"
        yield Reason(code="truncated", text=text)
    elif info.unreadable_end:
        yield Reason(code="truncated", text=f"the file cannot be read past {seconds:.2f} s of picture")

    if times.gaps:
        text = f"its picture has {format_count(times.gaps, 'gap')}, of up to {times.longest_gap_seconds:.2f} s"
        yield Reason(code="picture_gaps", text=text)


def _check_decoding(measures: Measures, thresholds: Thresholds) -> Iterator[Reason]:
    """Yield reasons against packets that could not be decoded, and against the audio's timestamps."""
    for kind, damaged, packets in (
        ("video", measures.damaged_video_packets, measures.video_packets),
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
    if frames and measures.still_frames == frames:
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
    if (delay := measures.sound_start_seconds) > thresholds.late_sound_seconds:
        yield Reason(code="late_audio", text=f"the sound starts {delay:.2f} s after the picture")
