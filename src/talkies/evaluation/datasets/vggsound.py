"""VGGSound (Chen et al. 2020): ten-second clips of 309 classes, each seen and heard.

    root/
    ├── vggsound.csv                      ---g-f_I2yQ,1,people marching,test      (no header)
    └── ---g-f_I2yQ_000001.mp4            (ID_, then the start's second in six digits; .mp4, .wav, .flac, ...)

The clips may lie in the root, or at any depth in video/, vggsound/ or audio/; of two of one name the first such place
counts. Videos vanish from their home, so how many clips there are is not fixed. Classes are numbered by the alphabet. A
label is said once, as a name, so that labels were shifted could not be seen.
"""

from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, numbered, read_text
from talkies.evaluation.datasets.lists import Row, csv_rows, files_by_stem

FOLDERS = (".", "video", "vggsound", "audio")


def read_vggsound(root: Path) -> DataSet:
    """Return VGGSound with the publishers' split; a source is a YouTube video.

    Raises:
        UsageError: if the list is missing or malformed, names a clip for training and for testing, or tests a class
            that it does not train.
    """
    listed, text = read_text(root, "vggsound.csv")
    rows = list(csv_rows(root / listed, text))
    stems = [_stem(row) for row in rows]
    labels = numbered(row.fields[2] for row in rows if row.fields[3] == "train")
    there = files_by_stem(root, FOLDERS)
    side_of: dict[str, Row] = {}
    examples, absent = [], set()
    for number, (row, stem) in enumerate(zip(rows, stems, strict=True)):
        if row.fields[2] not in labels:
            raise row.refusal(f"is of class '{row.fields[2]}', which no line for training has")
        if side_of.setdefault(stem, row).fields[3] != row.fields[3]:
            raise row.refusal(f"names {stem} for {row.fields[3]}, and line {side_of[stem].line} for the other")
        if stem not in there:
            absent.add(number)
        examples.append(Example(there.get(stem, f"video/{stem}.mp4"), (labels[row.fields[2]],), source=row.fields[0]))
    sides = {side: tuple(n for n, row in enumerate(rows) if row.fields[3] == side) for side in ("train", "test")}
    if not sides["test"]:
        raise UsageError(f"{root / listed} has no line for testing; take the publishers' own list")
    return DataSet(
        name="vggsound",
        root=root,
        modality="both",
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("the publishers' split", sides["train"], sides["test"]),),
        lists=(listed,),
        published=Published(classes=309),
        absent=frozenset(absent),
    )


def _stem(row: Row) -> str:
    if len(row.fields) != 4 or row.fields[3] not in {"train", "test"}:
        raise row.refusal("is not of the form 'ID,SECOND,LABEL,train|test'")
    return f"{row.fields[0]}_{row.integer(1, 'the start'):06d}"
