"""Something-Something V2 (Goyal et al. 2017): 193,690 labelled clips of 174 actions with objects.

    root/
    ├── 20bn-something-something-v2/78687.webm
    └── labels/
        ├── train.json          [{"id": "78687", "template": "Holding [something] next to [something]", ...}, ...]
        ├── validation.json
        └── labels.json         {"Holding something next to something": "32", ...}

The older names `something-something-v2-train.json`, `-validation.json` and `-labels.json`, in the root or in labels/,
are accepted too. A template without its brackets is the key of the label. The usual protocol trains on the training
list and tests on the validation list, because the test list has no labels. Numbers must be 0 to n - 1; a shift of all
labels by one cannot be detected, because clips are named by bare numbers.
"""

import json
from pathlib import Path
from typing import Any

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, find_absent_examples, read_text

CLIPS = "20bn-something-something-v2"

Entry = tuple[str, int]
"""A clip's id and its label."""


def read_ssv2(root: Path) -> DataSet:
    """Return Something-Something V2; every clip was filmed separately, so its source is its id.

    Raises:
        UsageError: if a list is missing or malformed, the labels' numbers are not 0 to n - 1, a template is not a
            label, or a clip is listed twice.
    """
    label_list, classes = _read_classes(root)
    labels = {name: label for label, name in enumerate(classes)}
    train_list, train = _read_entries(root, "train", labels)
    test_list, test = _read_entries(root, "validation", labels)

    _check_unique(root / train_list, train)
    _check_unique(root / test_list, test)
    shared = {clip for clip, _ in train} & {clip for clip, _ in test}
    if shared:
        raise UsageError(
            f"{root / test_list} names clip {min(shared)}, which {train_list} names too, so the lists overlap; "
            f"take the publishers' own lists"
        )

    examples = [Example(f"{CLIPS}/{clip}.webm", (label,), source=clip) for clip, label in (*train, *test)]
    numbers = tuple(range(len(examples)))
    return DataSet(
        name="ssv2",
        root=root,
        modality="video",
        classes=classes,
        examples=tuple(examples),
        splits=(Split("train on train, test on validation", numbers[: len(train)], numbers[len(train) :]),),
        lists=(label_list, train_list, test_list),
        published=Published(classes=174, examples=193_690),
        absent=find_absent_examples(root, examples),
    )


def _read_json(root: Path, list_name: str) -> tuple[str, Any]:
    """Return the name of a list that exists, relative to `root`, and what it holds."""
    older = f"something-something-v2-{list_name}.json"
    name, text = read_text(root, f"labels/{list_name}.json", older, f"labels/{older}")
    try:
        return name, json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{root / name}, line {error.lineno}, is not JSON ({error.msg.lower()}); take the publishers' own list"
        ) from error


def _read_classes(root: Path) -> tuple[str, tuple[str, ...]]:
    name, content = _read_json(root, "labels")
    if not isinstance(content, dict) or not all(isinstance(number, str | int) for number in content.values()):
        raise UsageError(f"{root / name} does not give each label a number; take the publishers' own list")

    label_of_number = {str(number): label for label, number in content.items()}
    numbers = [str(number) for number in range(len(content))]
    if set(label_of_number) != set(numbers):
        missing = next(number for number in numbers if number not in label_of_number)
        raise UsageError(
            f"{root / name} has {len(content)} labels but none with the number {missing}, and numbers run from 0 to "
            f"{len(content) - 1}; take the publishers' own list"
        )
    return name, tuple(label_of_number[number] for number in numbers)


def _read_entries(root: Path, list_name: str, labels: dict[str, int]) -> tuple[str, list[Entry]]:
    name, content = _read_json(root, list_name)
    if not isinstance(content, list):
        raise UsageError(f"{root / name} is not a list of clips; take the publishers' own list")

    entries = []
    for number, entry in enumerate(content, start=1):
        if not isinstance(entry, dict) or not {"id", "template"} <= entry.keys():
            raise UsageError(f"{root / name}: entry {number} lacks id or template; take the publishers' own list")
        template = str(entry["template"]).replace("[", "").replace("]", "")
        if template not in labels:
            raise UsageError(
                f"{root / name}: entry {number} has the template '{template}', which is not a label, so the lists are "
                f"of different versions; take the publishers' own lists"
            )
        entries.append((str(entry["id"]), labels[template]))
    return name, entries


def _check_unique(path: Path, entries: list[Entry]) -> None:
    seen = set()
    for number, (clip, _) in enumerate(entries, start=1):
        if clip in seen:
            raise UsageError(f"{path}: entry {number} names clip {clip} again; take the publishers' own list")
        seen.add(clip)
