"""Speech Commands, version 0.02 (Warden 2018): 105,829 utterances of 35 words, a second each.

    root/
    ├── validation_list.txt               bed/026290a7_nohash_0.wav
    ├── testing_list.txt
    ├── bed/026290a7_nohash_0.wav         SPEAKER_nohash_TAKE.wav
    └── _background_noise_/               not a class

Whatever neither list names is for training, so a missing training file is detected only by the counts of
`check_published`. All utterances of a speaker are on one side, which detects lists of another version. The class is
the folder, and classes are numbered alphabetically; only listening could detect a renamed folder.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import (
    DataSet,
    Example,
    Published,
    Split,
    find_absent_examples,
    number_classes,
)
from talkies.evaluation.datasets.lists import DuplicateCheck, list_media_files, read_rows

LISTS = {"select": "validation_list.txt", "test": "testing_list.txt"}
NAME = re.compile(r"(?P<word>[^/]+)/(?P<speaker>[0-9a-zA-Z]+)_nohash_\d+\.wav")


def read_speech_commands(root: Path) -> DataSet:
    """Return Speech Commands with the publishers' validation (`select`) and test lists; a source is a speaker.

    Raises:
        UsageError: if a list is missing or malformed, a file of a word is not named as the publishers name it, or a
            speaker is on two sides.
    """
    side_of_path = _read_lists(root)
    paths = sorted({*side_of_path, *_list_utterances(root)})
    labels = number_classes(path.split("/")[0] for path in paths)

    examples: list[Example] = []
    numbers: dict[str, list[int]] = {"train": [], "select": [], "test": []}
    side_of_speaker: dict[str, str] = {}
    for number, path in enumerate(paths):
        match = NAME.fullmatch(path)
        assert match is not None
        side = side_of_path.get(path, "train")
        other = side_of_speaker.setdefault(match["speaker"], side)
        if other != side:
            lists = " and ".join(LISTS.get(name, "neither list") for name in sorted({side, other} - {"train"}))
            raise UsageError(
                f"{root / lists}: speaker {match['speaker']} of {path} is on more than one side, so the list is of "
                f"another version than the files; take that of version 0.02"
            )
        numbers[side].append(number)
        examples.append(Example(path, (labels[match["word"]],), source=match["speaker"]))

    return DataSet(
        name="speech-commands",
        root=root,
        modality="audio",
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("the publishers' lists", *(tuple(numbers[side]) for side in ("train", "test", "select"))),),
        lists=tuple(LISTS.values()),
        published=Published(classes=35, examples=105_829),
        absent=find_absent_examples(root, examples),
    )


def _read_lists(root: Path) -> dict[str, str]:
    """Return the side (`select` or `test`) of each file that a list names."""
    side_of_path: dict[str, str] = {}
    duplicates = DuplicateCheck()
    for side, list_name in LISTS.items():
        _, rows = read_rows(root, list_name, form="WORD/SPEAKER_nohash_TAKE.wav")
        for row in rows:
            if not NAME.fullmatch(row.fields[0]):
                raise row.error(f"names '{row.fields[0]}', which is not of the form WORD/SPEAKER_nohash_TAKE.wav")
            duplicates.add(row, row.fields[0])
            side_of_path[row.fields[0]] = side
    return side_of_path


def _list_utterances(root: Path) -> list[str]:
    """Return the files in the folders of words, relative to `root`."""
    words = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    paths = [path for word in words for path in list_media_files(root, word)]
    for path in paths:
        if not NAME.fullmatch(path):
            raise UsageError(
                f"{root / path} is not named SPEAKER_nohash_TAKE.wav; move what is not part of the data set away"
            )
    return paths
