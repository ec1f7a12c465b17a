"""What a run keeps about the public encoder that it began with: enough to find the same weights again, or to refuse."""

from collections.abc import Mapping

from pydantic import Field

from talkies.config import Config


class PublicBase(Config):
    """Where the weights of a public encoder came from.

    Attributes:
        address: how the run's recipe names it.
        folder: the folder in which it was found; empty if it was none.
        revision: the commit on the hub; empty if it did not come from there.
        stamp: identifies its weights.
        license: the licence that it states; empty if it states none.
        files: the small files that describe the network, by name.
        has: which kinds of weights it has, by the texts that their names start with.
        text_address: where its text encoder is loaded from; None if it has none.
    """

    address: str
    folder: str = ""
    revision: str = ""
    stamp: str
    license: str = ""
    files: Mapping[str, str] = Field(default_factory=dict)
    has: Mapping[str, bool] = Field(default_factory=dict)
    text_address: str | None = None
