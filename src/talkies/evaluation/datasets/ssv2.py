"""Something-Something V2 (Goyal et al. 2017): 193,690 labelled clips of 174 actions with things.

    root/
    ├── 20bn-something-something-v2/78687.webm
    └── labels/
        ├── train.json          [{"id": "78687", "template": "Holding [something] next to [something]", ...}, ...]
        ├── validation.json
        └── labels.json         {"Holding something next to something": "32", ...}

The older names `something-something-v2-train.json`, `-validation.json` and `-labels.json`, in the root or in labels/,
are read too. A template without its brackets is the label's key. One trains on the training list and tests on the
validation list, for the test list has no labels. That numbers are 0 to n - 1 is seen; that all labels were shifted by
one could not be seen, for the clips' names are bare numbers.
"""

import json
from pathlib import Path
from typing import Any

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, absent_of, read_text

CLIPS = "20bn-something-something-v2"
Entry = tuple[str, int]  # a clip's id and its label


def read_ssv2(root: Path) -> DataSet:
    """Return Something-Something V2; each clip was filmed alone, so its source is its id.

    Raises:
        UsageError: if a list is missing or malformed, the labels' numbers are not 0 to n - 1, a template is no label,
            or a clip is listed twice.
    """
    label_list, classes = _classes(root)
    labels = {name: label for label, name in enumerate(classes)}
    train_list, train = _entries(root, "train", labels)
    test_list, test = _entries(root, "validation", labels)
    _check_once(root / train_list, train)
    _check_once(root / test_list, test)
    both = {name for name, _ in train} & {name for name, _ in test}
    if both:
        raise UsageError(
            f"{root / test_list} names clip {min(both)}, which {train_list} names too, so the lists overlap; "
            f"take the publishers' own lists"
        )
    examples = [Example(f"{CLIPS}/{name}.webm", (label,), source=name) for name, label in (*train, *test)]
    everything = tuple(range(len(examples)))
    return DataSet(
        name="ssv2",
        root=root,
        modality="video",
        classes=classes,
        examples=tuple(examples),
        splits=(Split("train on train, test on validation", everything[: len(train)], everything[len(train) :]),),
        lists=(label_list, train_list, test_list),
        published=Published(classes=174, examples=193_690),
        absent=absent_of(root, examples),
    )


def _read_json(root: Path, list_name: str) -> tuple[str, Any]:
    older = f"something-something-v2-{list_name}.json"
    name, text = read_text(root, f"labels/{list_name}.json", older, f"labels/{older}")
    try:
        return name, json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{root / name}, line {error.lineno}, is not JSON ({error.msg.lower()}); take the publishers' own list"
        ) from error


def _classes(root: Path) -> tuple[str, tuple[str, ...]]:
    name, found = _read_json(root, "labels")
    if not isinstance(found, dict) or not all(isinstance(number, str | int) for number in found.values()):
        raise UsageError(f"{root / name} does not give each label a number; take the publishers' own list")
    by_number = {str(number): label for label, number in found.items()}
    wanted = [str(number) for number in range(len(found))]
    if set(by_number) != set(wanted):
        missing = next(number for number in wanted if number not in by_number)
        raise UsageError(
            f"{root / name} has {len(found)} labels and none with the number {missing}, and numbers run from 0 to "
            f"{len(found) - 1}; take the publishers' own list"
        )
    return name, tuple(by_number[number] for number in wanted)


def _entries(root: Path, list_name: str, labels: dict[str, int]) -> tuple[str, list[Entry]]:
    name, found = _read_json(root, list_name)
    if not isinstance(found, list):
        raise UsageError(f"{root / name} is not a list of clips; take the publishers' own list")
    entries = []
    for number, entry in enumerate(found, start=1):
        if not isinstance(entry, dict) or not {"id", "template"} <= entry.keys():
            raise UsageError(f"{root / name}: entry {number} lacks id or template; take the publishers' own list")
        template = str(entry["template"]).replace("[", "").replace("]", "")
        if template not in labels:
            raise UsageError(
                f"{root / name}: entry {number} has the template '{template}', which is no label, so the lists are of "
                f"different versions; take the publishers' own lists"
            )
        entries.append((str(entry["id"]), labels[template]))
    return name, entries


def _check_once(path: Path, entries: list[Entry]) -> None:
    seen = set()
    for number, (name, _) in enumerate(entries, start=1):
        if name in seen:
            raise UsageError(f"{path}: entry {number} names clip {name} again; take the publishers' own list")
        seen.add(name)
