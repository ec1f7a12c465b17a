"""AVE (Tian et al. 2018): 4,143 audio-visual events of 28 classes in ten-second clips.

    root/
    ├── AVE/RUhOCu3LNXM.mp4
    ├── Annotations.txt        a header, then Church bell&RUhOCu3LNXM&good&0&10
    ├── trainSet.txt           the same lines without a header
    ├── valSet.txt
    └── testSet.txt

A line says class, YouTube id, quality, and the seconds in which the event is seen and heard: the example's span (one
line of the publishers has no length; there the whole clip is meant). A clip with two events has two lines, so there
are fewer files than examples, and in the publishers' own lists ten clips of valSet and eight of testSet are in
trainSet with another event: their sources are on both sides. Classes are numbered by the alphabet. Labels are names,
which Annotations.txt and a set's list must give alike; that both were shifted could not be seen.
"""

from pathlib import Path

from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, absent_of, numbered
from talkies.evaluation.datasets.lists import Once, Row, read_rows

FORM = "CATEGORY&VIDEO&QUALITY&START&END"
HEADER = ("Category", "VideoID", "Quality", "StartTime", "EndTime")


def read_ave(root: Path) -> DataSet:
    """Return AVE with the publishers' training, validation (`select`) and test lists; a source is a YouTube video.

    Raises:
        UsageError: if a list is missing or malformed, names an event that Annotations.txt has not, or names one that
            another list names.
    """
    listed, rows = read_rows(root, "Annotations.txt", form=FORM, separator="&")
    events = [row for row in rows if row.fields != HEADER]
    known = {row.fields for row in events}
    labels = numbered(row.fields[0] for row in events)
    examples: list[Example] = []
    lists, sides, once = [listed], [], Once()
    for side in ("train", "val", "test"):
        name, rows = read_rows(root, f"{side}Set.txt", form=FORM, separator="&")
        first = len(examples)
        for row in rows:
            if row.fields not in known:
                raise row.refusal(f"has an event that Annotations.txt has not: {'&'.join(row.fields)}")
            once.add(row, f"{row.fields[0]}&{row.fields[1]}")
            examples.append(Example(f"AVE/{row.fields[1]}.mp4", (labels[row.fields[0]],), row.fields[1], _span(row)))
        lists.append(name)
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
        absent=absent_of(root, examples),
    )


def _span(row: Row) -> tuple[float, float] | None:
    start, end = row.seconds(3, "the start"), row.seconds(4, "the end")
    if end < start:
        raise row.refusal(f"ends at {row.fields[4]} s, and begins at {row.fields[3]} s")
    return (start, end) if start < end else None
