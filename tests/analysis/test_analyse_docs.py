"""docs/analyse.md says what is so."""

import re
from pathlib import Path

from talkies.analysis.clusters import DRAWS, ENOUGH_OF_MARGIN, MOST_CLUSTERS
from talkies.analysis.descriptors.describe_films import CLIP_SECONDS, LEAST_CLIPS, MOST_CLIPS
from talkies.analysis.settings import MOST_ADDED_SHARE, MOST_CLIPS_PER_FILM, WINDOWS_SECONDS

TEXT = (Path(__file__).parents[2] / "docs" / "analyse.md").read_text(encoding="utf-8")


def test_code_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "docs/analyse.md", "exec"), {})


def test_numbers_are_those_of_the_code() -> None:
    for words in (
        f"cut into 2 to {MOST_CLUSTERS} clusters",
        f"the mean of {DRAWS} structureless draws",
        f"clusters that have {100 * ENOUGH_OF_MARGIN:.0f} % of the largest margin",
        f"At most {MOST_CLIPS} clips of a film",
        f"fewer than {LEAST_CLIPS} is left out",
        f"clips of {CLIP_SECONDS} s",
        f"of two, 2 to {MOST_CLIPS_PER_FILM}, for which",
        f"the narrowest of {', '.join(f'{each:g}' for each in WINDOWS_SECONDS)} s",
        f"at most {100 * MOST_ADDED_SHARE:.0f} points above",
    ):
        assert words in " ".join(TEXT.split()), words
