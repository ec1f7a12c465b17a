"""Load the model that made an embedding set, to encode files and words with it."""

from talkies.core import ConfigError, LibraryError, RunError, text_to_path
from talkies.library import Profile
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.runs import ClipEncoder, list_addresses, load_encoder
from talkies.runs.trust import check_trust


def load_encoder_of(entry: EmbeddingSet, profile: Profile, *, trust_code: bool = False) -> ClipEncoder:
    """Return the encoder that made an embedding set.

    Args:
        entry: The description of the set.
        profile: That of the library.
        trust_code: Whether code that the set names may be run.

    Raises:
        LibraryError: if its model cannot be loaded, has other weights now, or is code that is not trusted.
    """
    encoder = _load_public(entry, profile, trust_code) if entry.is_public else _load_run(entry)
    if encoder.stamp != entry.stamp:
        raise LibraryError(
            f"{entry.run} now holds another model (stamp {encoder.stamp}) than the one that embedded the library "
            f"(stamp {entry.stamp}); search by a moment of a film, or embed the library again"
        )
    return encoder


def _load_run(entry: EmbeddingSet) -> ClipEncoder:
    try:
        return load_encoder(text_to_path(entry.run), entry.step)
    except RunError as error:
        raise LibraryError(
            f"searching by file or words needs the model that built this index, and its run folder is gone ({error}); "
            "search by a moment of a film"
        ) from error


def _load_public(entry: EmbeddingSet, profile: Profile, trust_code: bool) -> ClipEncoder:
    try:
        check_trust(list_addresses(entry.run), "the library", trust_code=trust_code)
    except RunError as error:
        raise LibraryError(
            f"searching by file or words would run code that the library names ({entry.run}); if you trust it, name it "
            f"yourself: --model {entry.run}"
        ) from error
    try:
        return load_encoder(entry.run, profile=profile)
    except ConfigError as error:
        raise LibraryError(
            f"searching by file or words needs the model that built this index, and it cannot be loaded ({error}); "
            "search by a moment of a film"
        ) from error
