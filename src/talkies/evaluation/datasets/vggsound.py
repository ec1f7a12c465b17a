"""VGGSound (Chen et al. 2020): ten-second clips of 309 classes, with the sound's source in the picture.

    root/
    ├── vggsound.csv                      ---g-f_I2yQ,1,people marching,test      (no header)
    └── ---g-f_I2yQ_000001.mp4            (ID_, then the start's second in six digits; .mp4, .wav, .flac, ...)

The clips may be in the root, or at any depth in video/, vggsound/ or audio/; of two with the same name, the first of
these places wins. Videos vanish from YouTube, so the number of clips is not fixed. Classes are numbered alphabetically.
A label appears once, as a name, so a shift of all labels cannot be detected.
"""

from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, number_classes, read_text
from talkies.evaluation.datasets.lists import Row, index_media_by_stem, parse_csv

FOLDERS = (".", "video", "vggsound", "audio")


def read_vggsound(root: Path) -> DataSet:
    """Return VGGSound with the publishers' split; a source is a YouTube video.

    Raises:
        UsageError: if the list is missing or malformed, names a clip for training and for testing, or tests a class
            that it does not train.
    """
    list_name, text = read_text(root, "vggsound.csv")
    rows = list(parse_csv(root / list_name, text))
    stems = [_build_stem(row) for row in rows]
    labels = number_classes(row.fields[2] for row in rows if row.fields[3] == "train")
    media = index_media_by_stem(root, FOLDERS)

    first_row_of_stem: dict[str, Row] = {}
    examples, absent = [], set()
    for number, (row, stem) in enumerate(zip(rows, stems, strict=True)):
        video, _, label, side = row.fields
        if label not in labels:
            raise row.error(f"is of class '{label}', which no line for training has")
        first_row = first_row_of_stem.setdefault(stem, row)
        if first_row.fields[3] != side:
            raise row.error(f"names {stem} for {side}, but line {first_row.line} for the other")
        if stem not in media:
            absent.add(number)
        examples.append(Example(media.get(stem, f"video/{stem}.mp4"), (labels[label],), source=video))

    train, test = (
        tuple(number for number, row in enumerate(rows) if row.fields[3] == side) for side in ("train", "test")
    )
    if not test:
        raise UsageError(f"{root / list_name} has no line for testing; take the publishers' own list")
    return DataSet(
        name="vggsound",
        root=root,
        modality="both",
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("the publishers' split", train, test),),
        lists=(list_name,),
        published=Published(classes=309),
        absent=frozenset(absent),
    )


def _build_stem(row: Row) -> str:
    if len(row.fields) != 4 or row.fields[3] not in {"train", "test"}:
        raise row.error("is not of the form 'ID,SECOND,LABEL,train|test'")
    return f"{row.fields[0]}_{row.parse_integer(1, 'the start'):06d}"
