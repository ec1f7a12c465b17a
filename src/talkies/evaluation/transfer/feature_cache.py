"""Features that were computed before, by the bytes of the clip and everything else that they depend on.

STORE/<key of features and protocol>/<digits>.safetensors     up to 256 clips each, there whole or not at all

Shapes: `V` windows, `E` features.
"""

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from talkies.core import WorkError, describe_os_error
from talkies.runtime import replace_atomically

_CLIPS_A_FILE = 256


class FeatureStore:
    """The features of clips under one `key`; what cannot be read is computed again."""

    def __init__(self, root: Path, key: str) -> None:
        self._folder = root / key
        self._where: dict[str, Path] = {}
        self._new: dict[str, Tensor] = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            try:
                with safe_open(path, "pt") as file:
                    self._where.update(dict.fromkeys(file.keys(), path))
            except SafetensorError:
                path.unlink(missing_ok=True)

    @property
    def clips(self) -> frozenset[str]:
        """The clips whose features are kept."""
        return frozenset(self._new) | frozenset(self._where)

    def __contains__(self, clip: str) -> bool:
        return clip in self._new or clip in self._where

    def get(self, clip: str) -> Tensor:
        """Return a clip's features `[V, E]`."""
        if clip in self._new:
            return self._new[clip]
        with safe_open(self._where[clip], "pt") as file:
            features_VE: Tensor = file.get_tensor(clip)
        return features_VE

    def put(self, clip: str, features_VE: Tensor) -> None:
        """Keep a clip's features; they are on disk after `flush`, or when many have come together."""
        self._new[clip] = features_VE.contiguous()
        if len(self._new) >= _CLIPS_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Write what is new.

        Raises:
            WorkError: if it cannot be written.
        """
        if not self._new:
            return
        name = hashlib.blake2b("".join(sorted(self._new)).encode(), digest_size=8).hexdigest()
        path = self._folder / f"{name}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replace_atomically(path) as temporary:
                save_file(self._new, temporary)
        except (OSError, SafetensorError) as error:
            cause = describe_os_error(error) if isinstance(error, OSError) else str(error)
            raise WorkError(
                f"features cannot be kept in {self._folder} ({cause}); make room and run it again"
            ) from error
        self._where.update(dict.fromkeys(self._new, path))
        self._new = {}
