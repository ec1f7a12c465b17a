"""The models that the served library was embedded with, and the searcher and map of each."""

from talkies.core import LibraryError, Modality
from talkies.library import Library
from talkies.retrieval.index import EmbeddingSet, MapPoint, VectorIndex, build_map
from talkies.retrieval.search import Searcher
from talkies.web.cache import LRUCache

_MAX_OPEN_SETS, _MAX_MAPS = 4, 8


class ServedModels:
    """The embedding sets of a library, one for each model; opened on first use, safe for threads.

    A model is named by its stamp. Wherever a stamp may be `None`, that means the newest model.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.index = VectorIndex(library)
        self._searchers: LRUCache[tuple[str, int], Searcher] = LRUCache(_MAX_OPEN_SETS)
        self._maps: LRUCache[tuple[str, Modality, int], list[MapPoint]] = LRUCache(_MAX_MAPS)
        self._films: LRUCache[tuple[str, int], set[str]] = LRUCache(_MAX_OPEN_SETS)

    def list_searchable(self) -> list[EmbeddingSet]:
        """Return the embedding sets that can be searched, newest first."""
        return self._check_sets()[0]

    def _check_sets(self) -> tuple[list[EmbeddingSet], LibraryError | None]:
        """Return the sets that can be searched, newest first, and the first error of the others."""
        searchable: list[EmbeddingSet] = []
        first_error = None
        for stamp in self.index.list_stamps():
            try:
                entry = self.index.choose(stamp)
                if not self.index.has_rows(stamp):
                    self.index.open_table(stamp)  # raises the error that says what is wrong
                searchable.append(entry)
            except LibraryError as error:
                first_error = first_error or error

        searchable.sort(key=lambda entry: self._get_write_time(entry.stamp), reverse=True)
        return searchable, first_error

    def choose(self, stamp: str | None) -> EmbeddingSet:
        """Return the embedding set of a model.

        Raises:
            LibraryError: If the library has no embeddings, or none of this model.
        """
        if stamp is not None:
            return self.index.choose(stamp)
        searchable, first_error = self._check_sets()
        if searchable:
            return searchable[0]
        if first_error is not None:
            raise first_error
        return self.index.choose()

    def get_searcher(self, stamp: str | None) -> Searcher:
        """Return the searcher of a model.

        Raises:
            LibraryError: As `choose`.
        """
        entry = self.choose(stamp)
        key = entry.stamp, self._get_write_time(entry.stamp)  # a set that was removed and rebuilt is another one
        return self._searchers.get(key, lambda: Searcher(self.library, entry.stamp))

    def get_map(self, stamp: str | None, modality: Modality) -> list[MapPoint]:
        """Return the two-dimensional map of a model's embeddings of one modality.

        Raises:
            LibraryError: As `choose`.
        """
        entry = self.choose(stamp)
        key = entry.stamp, modality, self.get_version(entry)
        return self._maps.get(key, lambda: build_map(self.library, entry.stamp, modality))

    def list_film_ids(self, entry: EmbeddingSet) -> set[str]:
        """Return the ids of the films that a set holds."""
        key = entry.stamp, self.get_version(entry)
        return self._films.get(key, lambda: self.index.list_films(entry.stamp))

    def get_version(self, entry: EmbeddingSet) -> int:
        """Return a number that changes whenever the set changes."""
        table_version = int(self.index.open_table(entry.stamp).version)
        return hash((self._get_write_time(entry.stamp), table_version))

    def get_notice(self) -> str | None:
        """Return what the page should say first: why nothing can be searched, or which set is left out."""
        searchable, first_error = self._check_sets()
        if first_error is not None:
            return str(first_error)
        try:
            return None if searchable else self.index.choose().stamp
        except LibraryError as error:
            return str(error)

    def _get_write_time(self, stamp: str) -> int:
        """Return when a set's description was written, in nanoseconds; 0 if it is gone."""
        try:
            return (self.index.folder / f"{stamp}.json").stat().st_mtime_ns
        except OSError:
            return 0
