"""The language of the code: the field's own terms, and plain present-day English."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for path in sorted((ROOT / "src").rglob("*"))
    if path.suffix in {".py", ".js", ".css", ".html", ".md", ".yaml", ".svg"}
]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
LOG = ROOT / "LOG.md"  # says what was once called how

OLD_NAMES = set(
    """
    Conformer ConformReport Developer TrackCensus SoundClock ShortMedia read_short ShownFile read_shown likest
    likest_cells Chooser LaidClips laying EquallyOften DrawOneAShot still_norms slopes pulled Look Kept
    Artefact is_artefact Tower VIEWS winograd _judged _told _shown _asked _looked_at
    """.split()  # noqa: SIM905
)
OLD_FILES = set(
    """
    conform.py develop.py census.py tone.py undated.py short.py anyfile.py alike.py choice.py floor.py
    laying.py average.py look.py judging.py peers.py overlap.py store.py described.py told.py cells.py
    answers.py faults.py received.py shelf.py moment.js hit.js refine.js lanes.js
    """.split()  # noqa: SIM905
)
BANNED = (
    "is not to be had",
    "cannot be had",
    "can be had",
    "is to be had",
    "the likest",
    "there no more",
    "is no more alike",
    "what is new alone",
    "nothing else is to be installed",
    "do nothing if",
    "a fault in talkies",
    "would else",
    "drawn on from",
    "marked its films otherwise",
    "cannot be told of",
    "is told from",
    "made anew",
    "so many are kept",
    "which a CPU has not",
    "one each so many",
    "than there are of",
    "the only room",
)


ALLOWED = {
    ("extract.py", "Look"),  # the key of features that were cached before
    ("r2plus1d.py", "Look"),  # in the title of a paper
    ("app.js", "VIEWS"),  # the page's own views
}


def words_of(path: Path) -> str:
    """The text of a file, its line breaks and comment signs as blanks, in lower case."""
    return re.sub(r"[\s#*]+", " ", path.read_text(encoding="utf-8")).lower()


def test_no_source_uses_an_old_name() -> None:
    names = re.compile(rf"\b({'|'.join(OLD_NAMES)})\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in names.finditer(line)
        if (path.name, match[0]) not in ALLOWED
    ]
    assert found == []


def test_no_file_has_an_old_name() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.name in OLD_FILES] == []


def test_no_banned_turn_is_used() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {turn}"
        for path in [*SOURCES, *PAGES]
        if path != LOG
        for turn in BANNED
        if turn in words_of(path)
    ]
    assert found == []


def test_functions_are_not_named_by_bare_past_participles() -> None:
    participles = "|".join(
        ["asked", "told", "shown", "drawn", "judged", "laid", "held", "kept", "given", "sent", "begun", "looked_at"]
    )
    function = re.compile(rf"def _?({participles})\(")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in SOURCES
        if path.suffix == ".py"
        for match in function.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
