"""The file about a batch whose loss or gradient is not finite."""

import json
from collections.abc import Sequence

from talkies.core import ClipRequest
from talkies.runs import RunFolder
from talkies.runtime import write_atomically


def write_not_finite(folder: RunFolder, batch: Sequence[ClipRequest], what: str, step: int, *, writes: bool) -> str:
    """Write the clips of a batch whose loss or gradient is not finite, and return the sentence to stop with."""
    clips = [
        {
            "film": request.film_id,
            "start_frame": request.window.start_frame,
            "end_frame": request.window.end_frame,
            "sound_shift_frames": request.audio_shift_frames,
            "place": request.place,
        }
        for request in batch
    ]
    document = {"schema_version": 1, "step": step, "what": what, "clips": clips}
    if writes:
        write_atomically(folder.not_finite_path, json.dumps(document, indent=1))

    films = ", ".join(sorted({request.film_id for request in batch}))
    return (
        f"the {what} of step {step} is not a finite number (films {films}; its clips are in {folder.not_finite_path}), "
        f"and the weights were not updated with it; start a new run with a lower optimiser.learning_rate or a higher "
        f"objective.temperature"
    )
