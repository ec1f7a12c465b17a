"""A cache on disk of the features of clips, so that a clip is decoded and encoded once.

    CACHE/<key of features and protocol>/<digits>.safetensors     up to 256 clips each, written atomically

Shapes: `V` windows, `E` features.
"""

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from talkies.core import WorkError, describe_os_error
from talkies.runtime import replace_atomically

_CLIPS_PER_FILE = 256


class FeatureCache:
    """The cached features of clips for one `key`; an unreadable file is deleted, and its clips are computed again."""

    def __init__(self, root: Path, key: str) -> None:
        self._folder = root / key
        self._file_of_clip: dict[str, Path] = {}
        self._unsaved: dict[str, Tensor] = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            try:
                with safe_open(path, "pt") as file:
                    self._file_of_clip.update(dict.fromkeys(file.keys(), path))
            except SafetensorError:
                path.unlink(missing_ok=True)

    @property
    def clips(self) -> frozenset[str]:
        """The names of the cached clips."""
        return frozenset(self._unsaved) | frozenset(self._file_of_clip)

    def __contains__(self, clip: str) -> bool:
        return clip in self._unsaved or clip in self._file_of_clip

    def get(self, clip: str) -> Tensor:
        """Return the features `[V, E]` of a clip."""
        if clip in self._unsaved:
            return self._unsaved[clip]
        with safe_open(self._file_of_clip[clip], "pt") as file:
            features_VE: Tensor = file.get_tensor(clip)
        return features_VE

    def put(self, clip: str, features_VE: Tensor) -> None:
        """Add the features of a clip; they reach the disk at `flush`, or once there are enough for a file."""
        self._unsaved[clip] = features_VE.contiguous()
        if len(self._unsaved) >= _CLIPS_PER_FILE:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet.

        Raises:
            WorkError: if it cannot be written.
        """
        if not self._unsaved:
            return
        name = hashlib.blake2b("".join(sorted(self._unsaved)).encode(), digest_size=8).hexdigest()
        path = self._folder / f"{name}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replace_atomically(path) as temporary:
                save_file(self._unsaved, temporary)
        except (OSError, SafetensorError) as error:
            cause = describe_os_error(error) if isinstance(error, OSError) else str(error)
            raise WorkError(
                f"features cannot be written to {self._folder} ({cause}); free some space and run it again"
            ) from error
        self._file_of_clip.update(dict.fromkeys(self._unsaved, path))
        self._unsaved = {}
