"""Which embedding set of a library somebody means by a run, an exported model, or the address of public encoders."""

from pathlib import Path

from talkies.core import LibraryError
from talkies.library import Library
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.vector_index import VectorIndex
from talkies.runs import is_model_address, is_same_model, load_encoder, make_address_absolute, read_stamp


def choose_set(library: Library, model: str | Path | None = None) -> EmbeddingSet:
    """Return the embedding set of a model; without one, the only set.

    A set of public encoders is found by their address. If the library holds several of one address, their weights have
    changed; then the weights that are there now decide.

    Args:
        library: The library.
        model: The folder of a run or of an exported model, or the address of public encoders.

    Raises:
        LibraryError: if there is no set, none of that model, or there are several and no model was named.
        RunError: if there is no such run.
        ConfigError: if the address has a wrong form, or its encoders cannot be loaded.
    """
    index = VectorIndex(library)
    if model is None:
        return index.choose()
    if not (isinstance(model, str) and is_model_address(model)):
        return index.choose(read_stamp(Path(model)))

    address, entries = make_address_absolute(model), index.list_sets()
    matching = [entry for entry in entries if entry.is_public and is_same_model(address, entry.run)]
    exact = [entry for entry in matching if entry.run == address]
    if len(exact or matching) == 1:
        return (exact or matching)[0]
    if matching:
        return index.choose(load_encoder(address, profile=library.profile).stamp)
    if not entries:
        return index.choose()  # raises the error that says so
    known = ", ".join(entry.describe() for entry in entries)
    raise LibraryError(
        f"{library.location} was not embedded with {model} but with {known}; "
        f"embed it with: talkies embed --library {library.location} --model {model}"
    )
