"""What `truth.json` says of composed films, beside their scripts."""

from typing import Any

from talkies.core import text_to_path
from talkies.synth.composed.script import ComposedScript, ComposedShot
from talkies.synth.film_folder import describe_shot


def describe_film(script: ComposedScript) -> dict[str, Any]:
    """Return what is true of a film."""
    fps, stretch = script.config.fps, script.background
    return {
        "background": stretch
        and {
            "title": stretch.title,
            "file": text_to_path(stretch.path).name,
            "sha256": stretch.sha256,
            "start_seconds": stretch.start_frame / fps,
            "end_seconds": stretch.end_frame / fps,
        },
        "lut_seed": script.grade.lut_seed,
        "shots": [_describe_shot(shot, script) for shot in script.shots],
    }


def _describe_shot(shot: ComposedShot, script: ComposedScript) -> dict[str, Any]:
    files = {
        kind: None if path is None else text_to_path(path).name
        for kind, path in (("recording", shot.recording), ("clip", shot.clip))
    }
    return {
        **describe_shot(shot, script.config.fps, script.classes[shot.concept]),
        **files,
        "recording_sha256": shot.recording_sha256,
        "clip_sha256": shot.clip_sha256,
    }
