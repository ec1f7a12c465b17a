"""AVE (Tian et al. 2018): 4,143 audio-visual events of 28 classes in ten-second clips.

    root/
    ├── AVE/RUhOCu3LNXM.mp4
    ├── Annotations.txt        a header, then Church bell&RUhOCu3LNXM&good&0&10
    ├── trainSet.txt           the same lines without a header
    ├── valSet.txt
    └── testSet.txt

A line gives class, YouTube id, quality, and the seconds between which the event is seen and heard: the example's span
(one line of the publishers has no length; it means the whole clip). A clip with two events has two lines, so there are
fewer files than examples. In the publishers' own lists ten clips of valSet and eight of testSet are also in trainSet
with another event, so their sources are on both sides. Classes are numbered alphabetically. Labels are names, which
Annotations.txt and the list of a set must repeat; a shift of both cannot be detected.
"""

from pathlib import Path

from talkies.evaluation.datasets.dataset import (
    DataSet,
    Example,
    Published,
    Split,
    find_absent_examples,
    number_classes,
)
from talkies.evaluation.datasets.lists import DuplicateCheck, Row, read_rows

FORM = "CATEGORY&VIDEO&QUALITY&START&END"
HEADER = ("Category", "VideoID", "Quality", "StartTime", "EndTime")


def read_ave(root: Path) -> DataSet:
    """Return AVE with its training, validation (`select`) and test lists; a source is a YouTube video.

    Raises:
        UsageError: if a list is missing or malformed, names an event that Annotations.txt lacks, or names one that
            another list names.
    """
    annotation_list, annotation_rows = read_rows(root, "Annotations.txt", form=FORM, separator="&")
    events = [row for row in annotation_rows if row.fields != HEADER]
    known = {row.fields for row in events}
    labels = number_classes(row.fields[0] for row in events)

    examples: list[Example] = []
    lists, sides = [annotation_list], []
    duplicates = DuplicateCheck()
    for side in ("train", "val", "test"):
        list_name, rows = read_rows(root, f"{side}Set.txt", form=FORM, separator="&")
        first = len(examples)
        for row in rows:
            category, video = row.fields[:2]
            if row.fields not in known:
                raise row.error(f"has an event that Annotations.txt lacks: {'&'.join(row.fields)}")
            duplicates.add(row, f"{category}&{video}")
            examples.append(Example(f"AVE/{video}.mp4", (labels[category],), video, _parse_span(row)))
        lists.append(list_name)
        sides.append(tuple(range(first, len(examples))))

    return DataSet(
        name="ave",
        root=root,
        modality="both",
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("the publishers' lists", train=sides[0], test=sides[2], select=sides[1]),),
        lists=tuple(lists),
        published=Published(classes=28, examples=4_143),
        absent=find_absent_examples(root, examples),
    )


def _parse_span(row: Row) -> tuple[float, float] | None:
    start, end = row.parse_seconds(3, "the start"), row.parse_seconds(4, "the end")
    if end < start:
        raise row.error(f"ends at {row.fields[4]} s, but starts at {row.fields[3]} s")
    return (start, end) if start < end else None
