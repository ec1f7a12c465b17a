"""What every benchmark says of itself: the hardware, the date, and where its results go."""

import datetime
import os
import platform
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def hardware() -> str:
    """Return the processor's name and how many cores may be used."""
    names = (
        re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else []
    )
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.processor()}"


def today() -> str:
    """Return the date."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def write_results(what: str, title: str, sections: list[str], folder: Path | None = None) -> Path:
    """Write `<what>_<hardware>_<date>.md` in `folder` (`benchmarks/results`), print it, and return its path."""
    text = "\n".join([f"# {title}", "", f"{hardware()}, {today()}", "", *sections, ""])
    slug = re.sub(r"[^a-z0-9]+", "-", hardware().lower()).strip("-")
    path = (folder or ROOT / "benchmarks" / "results") / f"{what}_{slug}_{today()}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(text)
    return path
