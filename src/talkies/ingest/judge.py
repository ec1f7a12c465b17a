"""From what is known of a film to its verdict: a pure function, all reasons at once."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from talkies.core import format_count
from talkies.ingest.config import Thresholds
from talkies.library import Measures, Reason, Verdict
from talkies.media import AudioTrack, MediaInfo, VideoTrack

IMPORTANCE = (
    "empty", "unreadable", "crashed", "timed_out", "out_of_memory", "encrypted", "unknown_video_codec",
    "unknown_audio_codec", "no_video", "cover_art", "no_audio", "empty_video", "empty_audio", "undecodable_video",
    "undecodable_audio", "damaged", "bad_shape", "too_short", "duplicate", "truncated", "damaged_packets", "time_jumps",
    "bad_sound_clock", "short_audio", "late_audio", "silent_audio", "black_video", "still_video", "picture_gaps",
)  # fmt: skip
"""Every code of a reason, the one that matters most first."""


def decide_verdict(reasons: tuple[Reason, ...]) -> Verdict:
    """Return the verdict that reasons come to."""
    if any(reason.rejects for reason in reasons):
        return Verdict.REJECTED
    return Verdict.WARNED if reasons else Verdict.ACCEPTED


def judge_film(
    info: MediaInfo, thresholds: Thresholds, measures: Measures | None = None, frames: int = 0, fps: int = 1
) -> tuple[Reason, ...]:
    """Return all reasons against a film, the one that matters most first.

    Without `measures` of a pass only what packets tell is judged; with them, `frames` at `fps` are the film's length.
    """
    found = [*_tracks(info), *_shape(info, thresholds)]
    if measures is None:
        seconds = info.video.times.duration_seconds if info.video else 0.0
    else:
        seconds = frames / fps
        found += [*_decoding(measures, thresholds), *_content(measures, frames, thresholds)]
        found += _sound_times(measures, seconds, thresholds)
    found += _times(info, seconds, thresholds)
    return sort_reasons(found)


def sort_reasons(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return reasons with the one that matters most first."""
    return tuple(sorted(reasons, key=lambda reason: IMPORTANCE.index(reason.code)))


def make_rejection(code: str, text: str) -> Reason:
    """Return a reason that rejects."""
    return Reason(code=code, text=text, rejects=True)


def _tracks(info: MediaInfo) -> Iterator[Reason]:
    if info.video is None:
        if info.cover_art:
            yield make_rejection("cover_art", "the only picture is cover art; talkies needs a film")
        else:
            yield make_rejection("no_video", "it has no video track; talkies needs picture and sound")
    else:
        yield from _track("video", info.video)
    if info.audio is None:
        if info.audio_tracks:
            have = ", ".join(f"{track.number} ({track.language or 'language not told'})" for track in info.audio_tracks)
            yield make_rejection("no_audio", f"it does not have the sound that was chosen; its tracks are {have}")
        else:
            yield make_rejection("no_audio", "it has no audio track; talkies needs picture and sound")
    else:
        yield from _track("audio", info.audio)


def _track(kind: str, track: VideoTrack | AudioTrack) -> Iterator[Reason]:
    if not track.times.packets:
        yield make_rejection(f"empty_{kind}", f"its {kind} track is declared but holds nothing")
    elif _is_encrypted(track):
        yield make_rejection("encrypted", f"its {kind} track is encrypted; ingest a decrypted copy")
    elif track.codec is None:
        yield make_rejection(f"unknown_{kind}_codec", f"FFmpeg has no decoder for its {kind} track")
    elif not track.decodes:
        yield make_rejection(f"undecodable_{kind}", f"nothing of its {kind} track can be decoded")


def _is_encrypted(track: VideoTrack | AudioTrack) -> bool:
    return track.times.encrypted_packets > 0


def _shape(info: MediaInfo, thresholds: Thresholds) -> Iterator[Reason]:
    video = info.video
    if video is None or not video.width or not video.height:
        return
    width, height = float(video.width * Fraction(video.pixel_aspect)), float(video.height)
    if max(width, height) > thresholds.most_aspect * min(width, height):
        text = (
            f"a picture of {width:.0f} × {height:.0f} pixels is no film's; "
            f"one side may be {thresholds.most_aspect:g} times the other at most"
        )
        yield make_rejection("bad_shape", text)


def _times(info: MediaInfo, seconds: float, thresholds: Thresholds) -> Iterator[Reason]:
    if info.video is None or not info.video.times.packets:
        return
    if info.video.times.start_seconds is not None and seconds < thresholds.shortest_seconds - 1e-6:
        text = f"its pictures last {seconds:.2f} s; a film lasts at least {thresholds.shortest_seconds:g} s"
        yield make_rejection("too_short", text)
    if info.jumps:
        text = (
            f"its clock jumps {format_count(len(info.jumps), 'time')}, first at {info.jumps[0][0]:.2f} s; time goes on there"
        )
        yield Reason(code="time_jumps", text=text)
    claimed = info.video.claimed_seconds or info.claimed_seconds or 0.0
    if not info.jumps and claimed - seconds > thresholds.missing_seconds:
        text = f"the container claims {claimed:.2f} s, {seconds:.2f} s of picture could be read"
        yield Reason(code="truncated", text=text)
    elif info.unreadable_end:
        yield Reason(code="truncated", text=f"the file cannot be read on after {seconds:.2f} s of picture")
    if info.video.times.gaps:
        longest = info.video.times.longest_gap_seconds
        text = f"pictures stay away {format_count(info.video.times.gaps, 'time')}, for up to {longest:.2f} s"
        yield Reason(code="picture_gaps", text=text)


def _decoding(measures: Measures, thresholds: Thresholds) -> Iterator[Reason]:
    for kind, damaged, packets in (
        ("video", measures.damaged_video_packets, measures.video_packets),
        ("audio", measures.damaged_audio_packets, measures.audio_packets),
    ):
        text = f"{damaged} of {packets} {kind} packets could not be decoded as they were"
        if damaged > thresholds.most_damaged * packets:
            yield make_rejection("damaged", f"{text}; at most {thresholds.most_damaged:.0%} may be")
        elif damaged:
            yield Reason(code="damaged_packets", text=text)
    if measures.sound_end_seconds is None:
        yield make_rejection("undecodable_audio", "nothing of its audio track can be decoded")
    elif measures.sound_laid_end_to_end:
        text = "the times of its sound are far too short for it; it is laid end to end, and may be out of step"
        yield Reason(code="bad_sound_clock", text=text)


def _content(measures: Measures, frames: int, thresholds: Thresholds) -> Iterator[Reason]:
    if measures.sound_end_seconds is not None and (
        measures.peak_dbfs is None or measures.peak_dbfs <= thresholds.silent_dbfs
    ):
        yield Reason(code="silent_audio", text="its sound is silent from beginning to end")
    if frames and measures.black_frames == frames:
        yield Reason(code="black_video", text="its picture is black from beginning to end")
    if frames and measures.still_frames == frames:
        yield Reason(code="still_video", text="its picture stands still from beginning to end")


def _sound_times(measures: Measures, seconds: float, thresholds: Thresholds) -> Iterator[Reason]:
    if measures.sound_start_seconds is None or measures.sound_end_seconds is None:
        return
    if (short := seconds - measures.sound_end_seconds) > thresholds.short_sound_seconds:
        yield Reason(code="short_audio", text=f"the sound ends {short:.2f} s before the picture")
    if (late := measures.sound_start_seconds) > thresholds.late_sound_seconds:
        yield Reason(code="late_audio", text=f"the sound begins {late:.2f} s after the picture")
