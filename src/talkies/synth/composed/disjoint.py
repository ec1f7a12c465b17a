"""Whether two folders of composed films share any of the files that they are made of."""

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from talkies.core import UsageError, escape_controls
from talkies.synth.composed.script import ComposedScript
from talkies.synth.composed.truth import describe_film


class _Background(BaseModel):
    title: str
    sha256: str


class _Shot(BaseModel):
    recording: str | None
    recording_sha256: str | None
    clip: str | None
    clip_sha256: str | None


class _Film(BaseModel):
    background: _Background | None
    shots: tuple[_Shot, ...]


class _Truth(BaseModel):
    films: tuple[_Film, ...]


def check_disjoint(seen_folder: Path, unseen_folder: Path) -> None:
    """Check that no recording, no clip and no background is in films of both folders, in whatever role.

    Files are compared by the hash of their content, backgrounds by their titles as well: titles are the same if the
    words of one start with those of the other, whatever their case (`big_buck_bunny`, `Big Buck Bunny 30s`).

    Raises:
        UsageError: if one is in both, or a folder has no truth of composed films.
    """
    _check(_read_truth(seen_folder), _read_truth(unseen_folder), f"the films of {seen_folder} and of {unseen_folder}")


def check_disjoint_scripts(
    seen: Sequence[ComposedScript], unseen: Sequence[ComposedScript], seen_folder: Path, unseen_folder: Path
) -> None:
    """Check the scripts of films of two folders like `check_disjoint`, before the films are made.

    Raises:
        UsageError: if a recording, a clip or a background is in both.
    """
    one, other = (
        _Truth.model_validate({"films": [describe_film(script) for script in side]}) for side in (seen, unseen)
    )
    _check(one, other, f"the films of {seen_folder} and of {unseen_folder}")


def _check(seen: _Truth, unseen: _Truth, places: str) -> None:
    for what, list_names in (("file", _list_files), ("background", _list_backgrounds)):
        one, other = list_names(seen), list_names(unseen)
        if both := sorted(one.keys() & other.keys()):
            name = escape_controls(one[both[0]])
            raise UsageError(f"the {what} {name} is in {places}; render one side from other files")
    for title in sorted(_list_backgrounds(seen).values()):
        for other_title in sorted(_list_backgrounds(unseen).values()):
            if _is_same_title(title, other_title):
                raise UsageError(
                    f"the backgrounds {escape_controls(title)} and {escape_controls(other_title)} of {places} have "
                    f"the same title; render one side over another film"
                )


def _is_same_title(title: str, other_title: str) -> bool:
    words, others = (re.findall(r"\w+", text.casefold().replace("_", " ")) for text in (title, other_title))
    shorter = min(len(words), len(others))
    return shorter > 0 and words[:shorter] == others[:shorter]


def _read_truth(folder: Path) -> _Truth:
    path = folder / "truth.json"
    try:
        return _Truth.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{folder} has no truth of composed films ({path.name} is missing or of other films); compose films there"
        ) from error


def _list_files(truth: _Truth) -> dict[str, str]:
    """Return the names of the recordings and clips by hash."""
    named: dict[str | None, str | None] = {}
    for film in truth.films:
        for shot in film.shots:
            named |= {shot.recording_sha256: shot.recording, shot.clip_sha256: shot.clip}
    return {sha256: name or "" for sha256, name in named.items() if sha256 is not None}


def _list_backgrounds(truth: _Truth) -> dict[str, str]:
    """Return the titles of the backgrounds by hash."""
    return {film.background.sha256: film.background.title for film in truth.films if film.background}
