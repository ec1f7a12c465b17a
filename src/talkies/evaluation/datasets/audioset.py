"""AudioSet (Gemmeke et al. 2017): ten-second sounds, each of one or more of 527 classes.

    root/
    ├── class_labels_indices.csv          index,mid,display_name
    ├── balanced_train_segments.csv       # comments, then: --4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_"
    ├── unbalanced_train_segments.csv
    ├── eval_segments.csv
    ├── balanced_train_segments/          YTID.wav, YYTID.wav or YTID_30.000.wav, at any depth, of any suffix
    ├── unbalanced_train_segments/
    └── eval_segments/                    (all three may lie in audios/)

One learns on the balanced list ("20k") or on both ("2m"), and tests on the evaluation list. After YTID_ the start may
be written 30.000, 30, 000030 or 30000 (milliseconds). A list says in its own comments how many segments it has, and a
class is a code that only class_labels_indices.csv turns into a name: that codes were shifted against segments could not
be seen.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, read_text
from talkies.evaluation.datasets.lists import Once, Row, csv_rows, files_by_stem, read_csv

TRAIN = {"20k": ("balanced_train_segments",), "2m": ("balanced_train_segments", "unbalanced_train_segments")}
TEST = "eval_segments"


def read_audioset(root: Path, *, subset: str = "20k") -> DataSet:
    """Return AudioSet with `subset` to learn on: `20k`, the balanced list, or `2m`, both; a source is a YouTube video.

    Raises:
        UsageError: if `subset` is another; if a list is missing, malformed, or has another number of segments than it
            says; if classes are not numbered 0 to n - 1 or a segment's class is none; or if two lists name one video.
    """
    if subset not in TRAIN:
        raise UsageError(f"AudioSet has no subset '{subset}'; ask for 20k (balanced) or 2m (balanced and unbalanced)")
    class_list, codes, classes = _classes(root)
    examples: list[Example] = []
    absent: set[int] = set()
    lists, once, first_of_test = [class_list], Once(within_a_list=False), 0
    for name in (*TRAIN[subset], TEST):
        first_of_test = len(examples)
        there = files_by_stem(root, (name, f"audios/{name}"))
        listed, text = read_text(root, f"{name}.csv")
        for row in _segments(root / listed, text):
            once.add(row, row.fields[0])
            path = next((there[stem] for stem in _stems(row) if stem in there), None)
            if path is None:
                absent.add(len(examples))
            labels = _labels(row, codes)
            examples.append(Example(path or f"{name}/{row.fields[0]}.wav", labels, source=row.fields[0]))
        lists.append(listed)
    everything = tuple(range(len(examples)))
    return DataSet(
        name="audioset",
        root=root,
        modality="audio",
        classes=classes,
        examples=tuple(examples),
        splits=(Split(f"train on {subset}, test on eval", everything[:first_of_test], everything[first_of_test:]),),
        lists=tuple(lists),
        multi_label=True,
        published=Published(classes=527),
        absent=frozenset(absent),
    )


def _classes(root: Path) -> tuple[str, dict[str, int], tuple[str, ...]]:
    listed, rows = read_csv(root, "class_labels_indices.csv", columns=("index", "mid", "display_name"))
    codes: dict[str, int] = {}
    names: list[str] = []
    for row in rows:
        if row.integer(0, "index") != len(names):
            raise row.refusal(f"has index {row.fields[0]}, and {len(names)} comes next")
        if codes.setdefault(row.fields[1], len(names)) != len(names):
            raise row.refusal(f"has the code {row.fields[1]} again")
        names.append(row.fields[2])
    return listed, codes, tuple(names)


def _segments(path: Path, text: str) -> Iterator[Row]:
    said = re.search(r"^#.*\bnum_segs=(\d+)", text, re.MULTILINE)
    count = 0
    for row in csv_rows(path, text):
        if len(row.fields) != 4:
            raise row.refusal("is not of the form 'YTID, START, END, \"CODE,CODE\"'")
        count += 1
        yield row
    if said and int(said[1]) != count:
        raise UsageError(f"{path} says that it has {said[1]} segments, and has {count}; take the publishers' own list")


def _stems(row: Row) -> Iterator[str]:
    name, start = row.fields[0], row.seconds(1, "the start")
    starts = (f"{start:.3f}", f"{start:.0f}", f"{start:06.0f}", f"{1000 * start:.0f}")
    for prefix in (name, f"Y{name}"):
        yield prefix
        yield from (f"{prefix}_{written}" for written in starts)


def _labels(row: Row, codes: dict[str, int]) -> tuple[int, ...]:
    named = [code.strip() for code in row.fields[3].split(",")]
    unknown = [code for code in named if code not in codes]
    if unknown:
        raise row.refusal(f"has the code '{unknown[0]}', which class_labels_indices.csv lacks")
    return tuple(sorted({codes[code] for code in named}))
