"""The `DataSet` value that every reader returns: classes, labelled clips and splits, as published."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from talkies.clips.clip_files import ClipFile
from talkies.core import MODALITIES, Modality, ModalityChoice, UsageError, describe_os_error, format_count


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled clip.

    `path` is its file, relative to the data set's root; `labels` are the indices of its classes, exactly one unless the
    data set is multi-label. Clips with the same `source` were cut from the same recording, and must not be on both
    sides of a split. `span_seconds` is the labelled part of the file, half-open; without it the whole file is meant.
    """

    path: str
    labels: tuple[int, ...]
    source: str
    span_seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """One division into training and test examples, by number; `select` is a published validation list, if any."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    select: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """The size of a data set as published: its classes, and its clips where their number is fixed."""

    classes: int
    examples: int | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A labelled data set: everything its lists name, whether or not the file exists.

    `lists` are the publishers' files that hold labels and splits, relative to `root`; `absent` are the numbers of the
    examples whose files are missing. A data set without lists names what its folders hold.

    Raises:
        ValueError: if a split names an example twice or one that does not exist, or a label has no class.
    """

    name: str
    root: Path
    modality: ModalityChoice
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
                raise ValueError(f"{split.name} of {self.name} names an example twice, or one that does not exist")
        if any(not 0 <= label < len(self.classes) for example in self.examples for label in example.labels):
            raise ValueError(f"an example of {self.name} has a label outside its {len(self.classes)} classes")

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that are used of each clip."""
        return MODALITIES if self.modality == "both" else (self.modality,)

    @property
    def present(self) -> list[int]:
        """The numbers of the examples whose files exist."""
        return [number for number in range(len(self.examples)) if number not in self.absent]

    def get_path(self, number: int) -> Path:
        """Return the path of an example's file."""
        return self.root / self.examples[number].path

    def get_clip(self, number: int) -> ClipFile:
        """Return the file of an example, and which part of it is meant."""
        return ClipFile(self.get_path(number), self.examples[number].span_seconds)

    def hash_lists(self) -> dict[str, str]:
        """Return a hash of each of the publishers' lists, sixteen hexadecimal digits of its bytes."""
        return {name: hashlib.blake2b(_read_bytes(self.root / name), digest_size=8).hexdigest() for name in self.lists}


def find_absent_examples(root: Path, examples: Iterable[Example]) -> frozenset[int]:
    """Return the numbers of the examples whose files do not exist."""
    return frozenset(number for number, example in enumerate(examples) if not (root / example.path).is_file())


def read_text(root: Path, *names: str) -> tuple[str, str]:
    """Return the name of the first of several files that exists, relative to `root`, and its text.

    Args:
        root: the data set's folder.
        names: paths relative to `root`, the usual name first.

    Raises:
        UsageError: if none exists (the message names the first), or the file is not UTF-8 text.
    """
    for name in names:
        if (root / name).is_file():
            try:
                return name, _read_bytes(root / name).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise UsageError(f"{root / name} is not UTF-8 text; fetch it from the publishers again") from error

    others = f" (or {', '.join(names[1:])})" if names[1:] else ""
    raise UsageError(f"{root} lacks {names[0]}{others}; lay the data set out as docs/datasets.md says")


def read_list(root: Path, *names: str) -> tuple[str, list[str]]:
    """Return the name of the first of several files that exists, relative to `root`, and its non-empty lines.

    Args:
        root: the data set's folder.
        names: paths relative to `root`, the usual name first.

    Raises:
        UsageError: if none exists (the message names the first), or the file is not UTF-8 text.
    """
    name, text = read_text(root, *names)
    return name, [line.rstrip() for line in text.splitlines() if line.strip()]


def leave_one_out(values: Sequence[str]) -> tuple[Split, ...]:
    """Return one split for each distinct value: it tests on the examples with that value and trains on all others.

    Args:
        values: the value of each example, such as its fold.

    Returns:
        The splits in natural order of their values: `fold 2` before `fold 10`.
    """
    return tuple(
        Split(
            name,
            train=tuple(number for number, value in enumerate(values) if value != name),
            test=tuple(number for number, value in enumerate(values) if value == name),
        )
        for name in sorted(set(values), key=_make_natural_key)
    )


def number_classes(names: Iterable[str]) -> Mapping[str, int]:
    """Return the index of each class name in alphabetical order."""
    return {name: number for number, name in enumerate(sorted(set(names)))}


def check_published(data: DataSet) -> None:
    """Check that a data set has as many classes and clips as were published.

    Raises:
        UsageError: naming the list with another number, which is another version or was cut short.
    """
    if data.published is None:
        return
    source = data.root / (data.lists[0] if data.lists else "")

    if len(data.classes) != data.published.classes:
        raise UsageError(
            f"{source} names {len(data.classes)} classes, but {data.name} has {data.published.classes}; "
            f"it is another version: take the publishers' own"
        )
    if data.published.examples is not None and len(data.examples) != data.published.examples:
        raise UsageError(
            f"{source} names {format_count(len(data.examples), 'clip')}, but {data.name} has "
            f"{data.published.examples}; it is another version: take the publishers' own"
        )


def _make_natural_key(value: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts the numbers inside a text by their value."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", value)
    return [(int(digits or 0), letters) for digits, letters in parts], value


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({describe_os_error(error)})") from error
