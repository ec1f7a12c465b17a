"""Show what an ingest outlives: kills at every moment, and files harmed in every way.

    python benchmarks/soak.py [--data FOLDER] [--kills 120] [--files 2000] [--seed 0] [--only kills mutations]

Writes `benchmarks/results/soak_<hardware>_<date>.md` and ends with status 1 if anything was wrong. FOLDER holds the
real media that the films are made of.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from kills import KillReport, kill_rounds
from machine import ROOT, write_results
from mutations import KINDS, MutationReport, faults_of, harmed_films, ingest_harmed, make_originals
from talkies.synth import SynthConfig, render_films

PARTS = ("kills", "mutations")
_BATCH = 250
_RENDERED_SECONDS = (4.0, 7.0, 12.0)
_AWKWARD = (
    "bt601.mov",
    "sample.mkv",
    "sample-with-large-length.avi",
    "sample_fragmented.mp4",
    "sample_edit_list_only_preroll_sync_sample.mp4",
    "sample_h262_mpeg_audio.ts",
)


def main() -> None:
    """Do harm, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    wanted = parser.parse_args()
    sections: list[str] = []
    faults: list[str] = []
    for part in wanted.only:
        workspace = Path(tempfile.mkdtemp(prefix="talkies-soak-"))
        count = wanted.kills if part == "kills" else wanted.files
        lines, found = (soak_kills if part == "kills" else soak_mutations)(wanted.data, workspace, count, wanted.seed)
        sections += [f"## {part.capitalize()}", "", *lines, ""]
        faults += found
        if found:
            print(f"kept for inspection: {workspace}", file=sys.stderr)
        else:
            shutil.rmtree(workspace)
    sections += ["## Faults", "", *([f"- {fault}" for fault in faults] or ["None."])]
    write_results("soak", "What an ingest outlives", sections)
    sys.exit(1 if faults else 0)


def soak_kills(data: Path, workspace: Path, kills: int, seed: int) -> tuple[list[str], list[str]]:
    """Kill ingests of rendered and awkward films, a duplicate and a file that is no film; return lines and faults."""
    films = workspace / "films"
    for number, seconds in enumerate(_RENDERED_SECONDS):
        render_films(films / f"{number}", 1, SynthConfig(seconds=seconds), seed=number)
    for name in _AWKWARD:
        shutil.copy(data / "awkward" / f"androidx-media__{name}", films)
    shutil.copy(films / "0" / "film-000.mp4", films / "the same again.mp4")
    (films / "letter.mp4").write_text("Dear reader, this is no film.\n" * 40)
    begun = time.monotonic()
    report = kill_rounds(films, workspace, kills, Random(seed))
    return kill_lines(report, time.monotonic() - begun), report.faults


def kill_lines(report: KillReport, seconds: float) -> list[str]:
    """Return what was done and what came of it."""
    moments = sorted({moment for _, moment in report.kills})
    victims = sorted({victim for victim, _ in report.kills})
    rows = [
        f"| {victim} | {' | '.join(str(report.kills[victim, moment]) for moment in moments)} |" for victim in victims
    ]
    return [
        f"- {report.count} kills (SIGKILL) of ingests with two workers, in {report.runs} runs over {report.rounds} "
        f"libraries, every other one worn beforehand; {seconds:.0f} s (one run in peace: {report.longest:.1f} s)",
        f"- runs that ended by themselves, with a film that failed for its worker was killed three times: "
        f"{report.failed_runs}",
        "- every library was then compared with one that was never killed, byte for byte, tables and film folders, "
        "and searched for what is left over",
        "",
        f"| killed | {' | '.join(moments)} |",
        f"|---|{'---|' * len(moments)}",
        *rows,
    ]


def soak_mutations(data: Path, workspace: Path, count: int, seed: int) -> tuple[list[str], list[str]]:
    """Ingest mutated films in batches into one library, then read all of it; return lines and faults."""
    originals, report = make_originals(data, workspace / "originals"), MutationReport()
    films = harmed_films(originals, count)
    for first in range(0, count, _BATCH):
        folder = workspace / f"batch-{first:05d}"
        ingest_harmed(films[first : first + _BATCH], seed, folder, workspace / "library", report)
        print(f"{report.files} files, {len(report.suspect)} suspect, {len(report.faults)} faults", file=sys.stderr)
    begun = time.monotonic()
    faults = report.faults + faults_of(workspace / "library")
    return mutation_lines(report, len(originals), time.monotonic() - begun), faults


def mutation_lines(report: MutationReport, originals: int, reading_seconds: float) -> list[str]:
    """Return the verdicts by container and by kind of harm, the reasons, and the verdicts that are suspect."""
    return [
        f"- {report.files} mutated files of {originals} films in {len({c for c, _, _ in report.verdicts})} containers, "
        f"ingested by two workers in {report.seconds:.0f} s",
        f"- every film that was taken was then read back, picture by picture: {reading_seconds:.0f} s",
        f"- reasons: {', '.join(f'{code} {number}' for code, number in report.reasons.most_common())}",
        f"- verdicts that blame the machine (crashed, timed_out, out_of_memory): {len(report.suspect)}",
        *(f"    - {line}" for line in report.suspect),
        "",
        *verdict_table("container", {key: key[0] for key in report.verdicts}, report),
        "",
        *verdict_table("harm", {key: key[1] for key in report.verdicts}, report),
    ]


def verdict_table(what: str, groups: dict[tuple[str, str, str], str], report: MutationReport) -> list[str]:
    """Return verdicts counted by group as a table."""
    verdicts = ("accepted", "accepted with warnings", "rejected")
    counts: Counter[tuple[str, str]] = Counter()
    for key, number in report.verdicts.items():
        counts[groups[key], key[2]] += number
    names = [name for name in (*KINDS, *sorted(set(groups.values()) - set(KINDS))) if name in groups.values()]
    rows = [f"| {name} | {' | '.join(str(counts[name, verdict]) for verdict in verdicts)} |" for name in names]
    return [f"| {what} | {' | '.join(verdicts)} |", f"|---|{'---|' * len(verdicts)}", *rows]


if __name__ == "__main__":
    main()
