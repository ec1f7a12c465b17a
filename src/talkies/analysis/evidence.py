"""What studies found about negatives of the same film: the evidence behind the advice on sampling."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from talkies.config import Config
from talkies.runtime import write_atomically

SCHEMA_VERSION = 1
NAME = "evidence.json"
BY_HAND = "repeated by hand"
"""How the source begins of rows that were measured before there was a study of them."""

FilmKind = Literal["rendered", "composed"]
Verdict = Literal["better", "worse", "equivalent", "undecided", "untested"]


class StudiedSampling(Config):
    """Clips of each film in a batch, and the weight of other films in the loss."""

    clips_per_film: Annotated[int, Field(ge=1)]
    cross_film_weight: Annotated[float, Field(ge=0, le=1)] = 1.0


class EvidenceRow(Config):
    """How much more a linear probe finds after training with `sampling` than with `against`, on unseen films.

    `source` names the study. `kind` is that of the films: rendered ones, or composed ones (real recordings under real
    marks). `films` is the number of films to learn from, and `passes` how often a model saw each second of them, on
    average. `mean` is the difference of the `measure`, a share; `low` and `high` are the ends of its 95 % interval over
    film sets, None without one. `verdict` is the study's, corrected for several tests: "untested" without a test.
    """

    source: str
    kind: FilmKind
    films: Annotated[int, Field(ge=1)]
    passes: Annotated[float, Field(gt=0)]
    sampling: StudiedSampling
    against: StudiedSampling
    measure: str
    mean: float
    low: float | None = None
    high: float | None = None
    verdict: Verdict

    @property
    def point(self) -> tuple[int, float]:
        """The films and the passes over them."""
        return self.films, self.passes

    @property
    def is_gain(self) -> bool:
        """Whether several clips of a film are compared with one clip of each."""
        return self.sampling.clips_per_film > 1 and self.against.clips_per_film == 1

    @property
    def is_weight(self) -> bool:
        """Whether other films that weigh less are compared with other films that weigh as much as the own film."""
        return (
            self.sampling.clips_per_film == self.against.clips_per_film > 1
            and self.sampling.cross_film_weight < self.against.cross_film_weight == 1
        )


class Evidence(Config):
    """The evidence that talkies ships, `analysis/evidence.json`; `benchmarks/study_doc.py` writes it from studies."""

    schema_version: int = SCHEMA_VERSION
    rows: tuple[EvidenceRow, ...]

    def replace_source(self, rows: tuple[EvidenceRow, ...]) -> "Evidence":
        """Return this evidence with the rows of a study in place of its former ones.

        Rows on the same kind of films that were measured by hand are dropped, because the study replaces them.

        Args:
            rows: All rows of one or more studies.
        """
        sources, kinds = {row.source for row in rows}, {row.kind for row in rows}
        rest = [
            row
            for row in self.rows
            if row.source not in sources and not (row.kind in kinds and row.source.startswith(BY_HAND))
        ]
        return Evidence(rows=(*rest, *rows))


@cache
def read_evidence() -> Evidence:
    """Return the evidence that the package ships."""
    return Evidence.model_validate_json((files("talkies.analysis") / NAME).read_text(encoding="utf-8"))


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write the evidence, a row on each line."""
    rows = ",\n".join(f"  {row.model_dump_json()}" for row in evidence.rows)
    write_atomically(path, f'{{\n "schema_version": {evidence.schema_version},\n "rows": [\n{rows}\n ]\n}}\n')
