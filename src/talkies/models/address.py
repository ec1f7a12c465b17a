"""Where an encoder comes from: a name of talkies, or the address of one that others made."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from talkies.core import ConfigError, path_to_text

Scheme = Literal["hf", "timm", "onnx", "python"]
SCHEMES: tuple[Scheme, ...] = ("hf", "timm", "onnx", "python")
ACCEPTED_ADDRESSES = (
    "an encoder is a name of talkies, hf:FOLDER_OR_ID[@REVISION], timm:NAME, onnx:FILE, python:MODULE:FUNCTION, or the "
    "name of a plug-in"
)


@dataclass(frozen=True, slots=True)
class EncoderAddress:
    """The address of an encoder; `str` returns it as it is written in recipes and on the command line.

    Attributes:
        scheme: what kind of address it is; None for a name of talkies or of a plug-in.
        name: the folder, id, file or name, without the scheme and the revision.
        revision: of an id on the hub: a branch, a tag or a commit; None for the newest.
    """

    scheme: Scheme | None
    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that a text names.

        Raises:
            ConfigError: if the scheme is unknown, or nothing follows it.
        """
        scheme, colon, rest = text.partition(":")
        if not colon:
            if not text:
                raise ConfigError(f"an encoder was named with an empty text; {ACCEPTED_ADDRESSES}")
            return cls(None, text)
        known = next((each for each in SCHEMES if each == scheme), None)
        if known is None or not rest:
            what = (
                f"no such kind of address: '{scheme}:'" if known is None else f"'{text}' names nothing after {scheme}:"
            )
            raise ConfigError(f"{what}; {ACCEPTED_ADDRESSES}")
        if known == "hf" and "@" in rest and not Path(rest).exists():
            name, _, revision = rest.rpartition("@")
            if not name or not revision:
                raise ConfigError(f"'{text}' names no encoder, or no revision after @; {ACCEPTED_ADDRESSES}")
            return cls(known, name, revision)
        return cls(known, rest)

    def make_absolute(self) -> Self:
        """Return the address with an absolute path, if it names a folder or file that is there."""
        if self.scheme not in ("hf", "onnx") or not Path(self.name).exists():
            return self
        return replace(self, name=path_to_text(Path(self.name).absolute()))

    def __str__(self) -> str:
        text = f"{self.scheme}:{self.name}" if self.scheme else self.name
        return f"{text}@{self.revision}" if self.revision else text


def is_address(text: str) -> bool:
    """Return whether a text is the address of a public encoder, and not a name or a path."""
    return text.partition(":")[0] in SCHEMES and ":" in text
