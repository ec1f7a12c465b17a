"""Exact time: a library's grid of frames and samples, half-open spans on it, and the shape of a clip.

Frame *i* of a film starts at *i*/fps seconds and lasts until (*i*+1)/fps. The audio rate is a multiple of fps, so
every frame starts on a sample and all arithmetic is on integers:

    frames   |    0    |    1    |    2    |      fps = 16
    samples  |0 … 999  |1000 …   |2000 …   |      audio_rate_hz = 16000, 1000 samples a frame
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """The frame rate and the audio rate of a library: integers, the audio rate a multiple of the frame rate.

    Raises:
        ValueError: if a rate is not positive, or a frame would not start on a sample.
    """

    fps: int
    audio_rate_hz: int

    def __post_init__(self) -> None:
        if self.fps <= 0 or self.audio_rate_hz <= 0:
            raise ValueError(f"rates must be positive, got {self.fps} fps and {self.audio_rate_hz} Hz")
        if self.audio_rate_hz % self.fps:
            raise ValueError(
                f"the audio rate must be a multiple of the frame rate so that each frame starts on a sample, "
                f"got {self.audio_rate_hz} Hz and {self.fps} fps"
            )

    @property
    def samples_per_frame(self) -> int:
        """How many audio samples one frame lasts."""
        return self.audio_rate_hz // self.fps

    def frame_to_seconds(self, frame: int) -> float:
        """Return the time at which `frame` starts, in seconds."""
        return frame / self.fps

    def seconds_to_frame(self, seconds: float) -> int:
        """Return the frame shown at a time in seconds; a frame counts as started 1 ns early, against rounding."""
        return int(seconds * self.fps + 1e-9 * self.fps)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open run of frames `[start_frame, end_frame)`, never empty, never before frame 0.

    Raises:
        ValueError: if the span is empty or starts below zero.
    """

    start_frame: int
    end_frame: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_frame < self.end_frame:
            raise ValueError(f"a span is 0 <= start < end, got [{self.start_frame}, {self.end_frame})")

    def __len__(self) -> int:
        return self.end_frame - self.start_frame

    def __contains__(self, frame: int) -> bool:
        return self.start_frame <= frame < self.end_frame

    def covers(self, other: "Span") -> bool:
        """Return whether every frame of `other` is in this span."""
        return self.start_frame <= other.start_frame and other.end_frame <= self.end_frame

    def overlaps(self, other: "Span") -> bool:
        """Return whether the two spans share a frame."""
        return self.start_frame < other.end_frame and other.start_frame < self.end_frame

    def gap_to(self, other: "Span") -> int:
        """Return the number of frames between the two spans: zero where they touch or overlap."""
        return max(0, other.start_frame - self.end_frame, self.start_frame - other.end_frame)


@dataclass(frozen=True, slots=True)
class ClipShape:
    """The extent of a clip: `frames` video frames, every `stride`-th of the grid, and the audio of `audio_frames`.

    A clip's window is as long as the longer of the two. The shorter is in its middle, so that video and audio show
    the same moment:

        window   |················32 frames················|
        video            |······16 frames······|
        audio    |··············· 2.0 s ···············|

    Raises:
        ValueError: if a count is not positive.
    """

    frames: int
    stride: int
    audio_frames: int

    def __post_init__(self) -> None:
        if min(self.frames, self.stride, self.audio_frames) <= 0:
            raise ValueError(f"a clip's counts must be positive, got {self}")

    @property
    def video_frames(self) -> int:
        """How many frames of the grid the video covers."""
        return self.frames * self.stride

    @property
    def window_frames(self) -> int:
        """How many frames of the grid the clip covers."""
        return max(self.video_frames, self.audio_frames)

    def select_video_frames(self, window: Span) -> range:
        """Return the frame numbers of a window's video."""
        start = window.start_frame + (self.window_frames - self.video_frames) // 2
        return range(start, start + self.video_frames, self.stride)

    def select_audio_span(self, window: Span) -> Span:
        """Return the span of frames that a window's audio lasts."""
        start = window.start_frame + (self.window_frames - self.audio_frames) // 2
        return Span(start, start + self.audio_frames)
