"""Speech Commands, version 0.02 (Warden 2018): 105,829 spoken words of 35 kinds, a second each.

    root/
    ├── validation_list.txt               bed/026290a7_nohash_0.wav
    ├── testing_list.txt
    ├── bed/026290a7_nohash_0.wav         SPEAKER_nohash_TAKE.wav
    └── _background_noise_/               no class

What neither list names is for training, so a file of the training part that is not there is not missed here;
`check_published` counts. All a speaker said is on one side, which tells lists of another version. The class is the
folder, classes are numbered by the alphabet, and nothing but the sound could tell that a folder was renamed.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, absent_of, numbered
from talkies.evaluation.datasets.lists import Once, files_below, read_rows

LISTS = {"select": "validation_list.txt", "test": "testing_list.txt"}
NAME = re.compile(r"(?P<word>[^/]+)/(?P<speaker>[0-9a-zA-Z]+)_nohash_\d+\.wav")


def read_speech_commands(root: Path) -> DataSet:
    """Return Speech Commands with the publishers' validation (`select`) and test lists; a source is a speaker.

    Raises:
        UsageError: if a list is missing or malformed, a file of a word is not named as the publishers name it, or a
            speaker is on two sides.
    """
    side_of, once = {}, Once()
    for side, name in LISTS.items():
        _, rows = read_rows(root, name, form="WORD/SPEAKER_nohash_TAKE.wav")
        for row in rows:
            if not NAME.fullmatch(row.fields[0]):
                raise row.refusal(f"names '{row.fields[0]}', which is not of the form WORD/SPEAKER_nohash_TAKE.wav")
            once.add(row, row.fields[0])
            side_of[row.fields[0]] = side
    paths = sorted({*side_of, *_found(root)})
    labels = numbered(path.split("/")[0] for path in paths)
    examples, sides, side_of_speaker = [], dict[str, list[int]](train=[], select=[], test=[]), dict[str, str]()
    for number, path in enumerate(paths):
        found = NAME.fullmatch(path)
        assert found is not None
        side = side_of.get(path, "train")
        other = side_of_speaker.setdefault(found["speaker"], side)
        if other != side:
            named = " and ".join(LISTS.get(which, "neither list") for which in sorted({side, other} - {"train"}))
            raise UsageError(
                f"{root / named}: speaker {found['speaker']} of {path} is not on one side alone, so the list is of "
                f"another version than the files; take that of version 0.02"
            )
        sides[side].append(number)
        examples.append(Example(path, (labels[found["word"]],), source=found["speaker"]))
    return DataSet(
        name="speech-commands",
        root=root,
        modality="audio",
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("the publishers' lists", *(tuple(sides[side]) for side in ("train", "test", "select"))),),
        lists=tuple(LISTS.values()),
        published=Published(classes=35, examples=105_829),
        absent=absent_of(root, examples),
    )


def _found(root: Path) -> list[str]:
    words = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    found = [name for word in words for name in files_below(root, word)]
    for name in found:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{root / name} is not named SPEAKER_nohash_TAKE.wav; move what is not of the data set away"
            )
    return found
