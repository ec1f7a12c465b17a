"""The models that a library was embedded with, and the search of each."""

from talkies.core import LibraryError, Modality
from talkies.library import Library
from talkies.retrieval.index import EmbeddingSet, MapPoint, VectorIndex, build_map
from talkies.retrieval.search import Searcher
from talkies.web.cache import LRUCache

_OPEN_SETS, _KEPT_MAPS = 4, 8


class Sets:
    """The embedding sets of a library; opened when they are asked for the first time, safe for threads."""

    def __init__(self, library: Library) -> None:
        self.library, self.index = library, VectorIndex(library)
        self._searchers: LRUCache[tuple[str, int], Searcher] = LRUCache(_OPEN_SETS)
        self._maps: LRUCache[tuple[str, Modality, int], list[MapPoint]] = LRUCache(_KEPT_MAPS)
        self._films: LRUCache[tuple[str, int], set[str]] = LRUCache(_OPEN_SETS)

    def all(self) -> list[EmbeddingSet]:
        """Return the sets that can be searched, the newest first."""
        return self._looked_at()[0]

    def _looked_at(self) -> tuple[list[EmbeddingSet], LibraryError | None]:
        """Return the sets that can be searched, and what is wrong with another one, if there is any."""
        found: list[EmbeddingSet] = []
        fault = None
        for stamp in self.index.list_stamps():
            try:
                entry = self.index.choose(stamp)
                if not self.index.has_rows(stamp):
                    self.index.open_table(stamp)  # which says what is wrong
                found.append(entry)
            except LibraryError as error:
                fault = fault or error
        return sorted(found, key=lambda entry: self._made_at(entry.stamp), reverse=True), fault

    def chosen(self, stamp: str | None) -> EmbeddingSet:
        """Return the set of a model, or the newest.

        Raises:
            LibraryError: if there is none, or not that one.
        """
        if stamp is not None:
            return self.index.choose(stamp)
        found, fault = self._looked_at()
        if not found and fault is not None:
            raise fault
        return found[0] if found else self.index.choose()

    def searcher(self, stamp: str | None) -> Searcher:
        """Return the search of a model's set, or of the newest.

        Raises:
            LibraryError: as `chosen`.
        """
        entry = self.chosen(stamp)
        key = entry.stamp, self._made_at(entry.stamp)  # a set that was taken away and made anew is another
        return self._searchers.get(key, lambda: Searcher(self.library, entry.stamp))

    def map(self, stamp: str | None, side: Modality) -> list[MapPoint]:
        """Return the map of a model's set, or of the newest.

        Raises:
            LibraryError: as `chosen`.
        """
        entry = self.chosen(stamp)
        key = entry.stamp, side, self.version(entry)
        return self._maps.get(key, lambda: build_map(self.library, entry.stamp, side))

    def films_in(self, entry: EmbeddingSet) -> set[str]:
        """Return the ids of the films that a set holds."""
        return self._films.get((entry.stamp, self.version(entry)), lambda: self.index.list_films(entry.stamp))

    def version(self, entry: EmbeddingSet) -> int:
        """Return a number that is another when the set has changed."""
        return hash((self._made_at(entry.stamp), int(self.index.open_table(entry.stamp).version)))

    def notice(self) -> str | None:
        """Return what a person should be told before a search: that it cannot be, or which set takes no part."""
        found, fault = self._looked_at()
        if fault is not None:
            return str(fault)
        try:
            return None if found else self.index.choose().stamp
        except LibraryError as error:
            return str(error)

    def _made_at(self, stamp: str) -> int:
        try:
            return (self.index.folder / f"{stamp}.json").stat().st_mtime_ns
        except OSError:  # it has just gone
            return 0
