"""Find a film's shots with PySceneDetect, frame by frame, while the film is converted."""

from itertools import pairwise

from scenedetect.common import FrameTimecode
from scenedetect.detectors import ContentDetector

from talkies.core import Span, UInt8s

SHORTEST_SHOT_SECONDS = 0.5


class ShotFinder:
    """PySceneDetect's content detector; it takes a film's frames in order."""

    def __init__(self, fps: int) -> None:
        self._fps, self._frames = float(fps), 0
        self._cuts: set[int] = set()
        self._detector = ContentDetector(min_scene_len=max(1, round(SHORTEST_SHOT_SECONDS * fps)))

    def push(self, bgr_HWC: UInt8s) -> None:
        """Take the next frame, uint8 `[H, W, 3]` in blue, green, red."""
        self._add_cuts(self._detector.process_frame(self._make_timecode(), bgr_HWC))
        self._frames += 1

    def finish(self) -> list[Span]:
        """Return the shots: half-open spans of frames that together cover the film."""
        self._add_cuts(self._detector.post_process(self._make_timecode()))
        bounds = [0, *sorted(cut for cut in self._cuts if 0 < cut < self._frames), self._frames]
        return [Span(start, end) for start, end in pairwise(bounds)]

    def _make_timecode(self) -> FrameTimecode:
        return FrameTimecode(self._frames, self._fps)

    def _add_cuts(self, cuts: list[FrameTimecode]) -> None:
        self._cuts.update(cut.frame_num for cut in cuts)
