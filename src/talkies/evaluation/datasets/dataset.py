"""A labelled data set as its publishers lay it on disk: what it lists, what is there, and how it is split."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from talkies.core import UsageError, describe_os_error, format_count

Modality = Literal["video", "audio", "both"]


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled clip.

    `path` is where its file lies, from the data set's root; `labels` are the numbers of its classes, one unless the
    data set says otherwise. What has one `source` was cut from one recording, and must not lie on both sides of a
    split. `span_seconds` is the part of the file that is meant, half-open, or the whole of it.
    """

    path: str
    labels: tuple[int, ...]
    source: str
    span_seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """One way to learn and test, as numbers of examples; `select` are those to choose settings on, if published."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    select: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """What the publishers say of a data set: how many classes, and how many clips, where that does not change."""

    classes: int
    examples: int | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set: all that its own lists name, whether or not it is there.

    `lists` are the publishers' files that say what belongs where (labels, splits), from `root`; `absent` are the
    numbers of examples whose files are not there. A data set of folders lists what it finds.

    Raises:
        ValueError: if a split names an example that is not there, or one twice, or a label has no class.
    """

    name: str
    root: Path
    modality: Modality
    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    splits: tuple[Split, ...]
    lists: tuple[str, ...] = ()
    multi_label: bool = False
    published: Published | None = None
    absent: frozenset[int] = field(default=frozenset())

    def __post_init__(self) -> None:
        for split in self.splits:
            named = (*split.train, *split.select, *split.test)
            if len(set(named)) < len(named) or not all(0 <= number < len(self.examples) for number in named):
                raise ValueError(f"{split.name} of {self.name} names an example twice, or one that it has not")
        if any(not 0 <= label < len(self.classes) for example in self.examples for label in example.labels):
            raise ValueError(f"an example of {self.name} has a label that none of its {len(self.classes)} classes is")

    def path_of(self, number: int) -> Path:
        """Return where an example's file lies."""
        return self.root / self.examples[number].path

    def hashes_of_lists(self) -> dict[str, str]:
        """Return sixteen hexadecimal digits that tell each of the publishers' lists by its bytes."""
        return {name: hashlib.blake2b(_bytes(self.root / name), digest_size=8).hexdigest() for name in self.lists}


def absent_of(root: Path, examples: Iterable[Example]) -> frozenset[int]:
    """Return the numbers of the examples whose files are not there."""
    return frozenset(number for number, example in enumerate(examples) if not (root / example.path).is_file())


def read_text(root: Path, *names: str) -> tuple[str, str]:
    """Return the first of some files that is there, by its name from `root`, and its text.

    Raises:
        UsageError: naming the first, if none is there or it is not UTF-8 text.
    """
    for name in names:
        if (root / name).is_file():
            try:
                return name, _bytes(root / name).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise UsageError(f"{root / name} is not UTF-8 text; fetch it from the publishers again") from error
    others = f" (or {', '.join(names[1:])})" if names[1:] else ""
    raise UsageError(f"{root} lacks {names[0]}{others}; lay the data set out as docs/datasets.md says")


def read_list(root: Path, *names: str) -> tuple[str, list[str]]:
    """Return the first of some files that is there, by its name from `root`, and its lines that are not empty.

    Raises:
        UsageError: naming the first, if none is there or it is not UTF-8 text.
    """
    name, text = read_text(root, *names)
    return name, [line.rstrip() for line in text.splitlines() if line.strip()]


def leave_one_out(values: Sequence[str]) -> tuple[Split, ...]:
    """Return a split for each value: those examples are its test that have the value, and all others its training.

    `values[number]` is what example `number` has, such as its fold. The splits come in the values' order, in which
    `fold 2` is before `fold 10`.
    """
    order = sorted(set(values), key=_natural)
    return tuple(
        Split(
            name,
            train=tuple(number for number, value in enumerate(values) if value != name),
            test=tuple(number for number, value in enumerate(values) if value == name),
        )
        for name in order
    )


def numbered(names: Iterable[str]) -> Mapping[str, int]:
    """Return each name's number in the order of the alphabet."""
    return {name: number for number, name in enumerate(sorted(set(names)))}


def check_published(data: DataSet) -> None:
    """Do nothing if a data set has as many classes and clips as its publishers say.

    Raises:
        UsageError: saying which list has another number, so it is of another version, or was cut.
    """
    if data.published is None:
        return
    where = data.lists[0] if data.lists else str(data.root)
    if len(data.classes) != data.published.classes:
        raise UsageError(
            f"{data.root / where} names {len(data.classes)} classes, and {data.name} has "
            f"{data.published.classes}; it is of another version: take the publishers' own"
        )
    if data.published.examples is not None and len(data.examples) != data.published.examples:
        raise UsageError(
            f"{data.root / where} names {format_count(len(data.examples), 'clip')}, and {data.name} has "
            f"{data.published.examples}; it is of another version: take the publishers' own"
        )


def _natural(value: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.findall(r"([0-9]+)|([^0-9]+)", value)
    return [(int(digits or 0), letters) for digits, letters in parts], value


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({describe_os_error(error)})") from error
