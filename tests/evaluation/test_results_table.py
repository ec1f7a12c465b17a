"""Results on disk, and all of them as one table."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import UsageError, WorkError
from talkies.evaluation.results import Metric, Result, build_table, format_table, read_results, write_result
from talkies.evaluation.results.result import SCHEMA_VERSION
from talkies.evaluation.results.table import HEADINGS, ResultTable

FORMS = ("text", "markdown", "latex")


def result(task: str = "ucf101", method: str = "linear", metric: float = 0.5, **protocol: Any) -> Result:
    told = {"run": "runs/a", "checkpoint_step": 400, "method": method, "clips": 10, "chance": {"accuracy": 0.01}}
    return Result(
        task=task,
        protocol=told | protocol,
        metrics={"accuracy": Metric.of([metric, metric + 0.02, metric + 0.04])},
        baselines={"untrained": {"accuracy": Metric.of_share(1, 100)}},
        hashes={"weights of run": "e4e95f394fc8"},
    )


def table(*results: Result) -> ResultTable:
    return build_table([(Path(f"{number}.json"), each) for number, each in enumerate(results)])


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
    name=st.text(min_size=1, max_size=8),
    task=st.sampled_from(["esc50", "retrieval"]),
)
def test_a_result_is_read_as_it_was_written(
    values: list[float], name: str, task: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("r") / "results"
    written = Result(task=task, protocol={"method": "knn", name: values}, metrics={"accuracy": Metric.of(values)})
    path = write_result(written, folder)
    assert list(read_results(folder)) == list(read_results(folder.parent)) == [(path, written)]


def test_another_protocol_has_another_name_and_the_same_has_the_same(tmp_path: Path) -> None:
    first = result()
    others = [
        result(clips=3),
        result(run="runs/b"),
        result(checkpoint_step=0),
        result(task="hmdb51"),
        result().model_copy(update={"hashes": {"weights of run": "0123456789ab"}}),
    ]
    names = {write_result(each, tmp_path).name for each in (first, *others)}
    assert len(names) == 6
    again = first.model_copy(update={"wall_seconds": 9.0, "tools": {"talkies": "9"}})
    assert write_result(again, tmp_path).name == write_result(first, tmp_path).name
    assert re.fullmatch(r"ucf101-linear-step-400-[0-9a-f]{8}\.json", write_result(first, tmp_path).name)
    assert len(list(tmp_path.iterdir())) == 6


def test_a_result_can_be_given_a_file_of_its_own(tmp_path: Path) -> None:
    path = write_result(result(), tmp_path / "deep" / "mine.json")
    assert path == tmp_path / "deep" / "mine.json"
    assert list(read_results(tmp_path / "deep")) == [(path, result())]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(
        WorkError, match=r"results/ucf101\S+\.json cannot be written \(.*\); name another place with --to"
    ):
        write_result(result(), tmp_path / "results")


def test_results_of_many_runs_are_found_in_the_order_of_paths(tmp_path: Path) -> None:
    for run in ("b", "a"):
        for clips in (1, 2):
            write_result(result(run=run, clips=clips), tmp_path / "runs" / run / "results")
    (tmp_path / "runs" / "a" / "run.json").write_text('{"schema_version": 1}')
    found = list(read_results(tmp_path))
    assert [path for path, _ in found] == sorted(path for path, _ in found)
    assert [each.protocol["run"] for _, each in found] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"task": "esc50"}', "\x00\x01", "null"])
def test_a_damaged_result_is_named(damage: str, tmp_path: Path) -> None:
    path = write_result(result(), tmp_path / "results")
    path.write_text(damage)
    remedy = r"is not a result of talkies evaluate, or is damaged; take it out of the folder$"
    with pytest.raises(UsageError, match=rf"^{re.escape(str(path))} {remedy}"):
        list(read_results(tmp_path))


def test_a_newer_result_is_named(tmp_path: Path) -> None:
    path = write_result(result(), tmp_path / "results")
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "schema_version": SCHEMA_VERSION + 1, "more": 1}))
    newer = rf"is of schema version 2, this talkies reads up to {SCHEMA_VERSION}; install a newer talkies"
    with pytest.raises(UsageError, match=rf"^{re.escape(str(path))} {newer}$"):
        list(read_results(tmp_path))


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no result; make one with: talkies evaluate TASK --run RUN --data DIR"):
        list(read_results(tmp_path))
    with pytest.raises(UsageError, match=r"\S+/none is not a folder; name a run, or a folder of results or runs"):
        list(read_results(tmp_path / "none"))


def test_a_run_its_baselines_and_what_others_report_come_in_this_order() -> None:
    rows = table(result("ucf101")).rows
    assert [row.what for row in rows[:2]] == ["runs/a, step 400", "runs/a, step 400: untrained"]
    assert len(rows) > 2
    assert all(row.what.endswith(", published") for row in rows[2:])
    first, second = rows[:2]
    assert (first.value, first.interval, first.n, first.chance) == ("52.0 % ± 2.0", "47.0 to 57.0", "3", "1.0 %")
    assert (second.value, second.n) == ("1.0 % ± 9.9", "100")


def test_what_others_report_is_beside_the_same_kind_of_result() -> None:
    def published(*results: Result) -> dict[str, str]:
        return {row.what: row.value for row in table(*results).rows if row.what.endswith(", published")}

    frozen, tuned = published(result("ucf101", "linear")), published(result("ucf101", "finetune"))
    assert frozen["BraVe TSM-50×2 (AudioSet), published"] == "93.2 %"
    assert tuned["BraVe TSM-50×2 (AudioSet), published"] == "96.9 %"
    assert "supervised R(2+1)D-18 (Kinetics-400), published" in tuned
    assert "supervised R(2+1)D-18 (Kinetics-400), published" not in frozen
    for task in ("esc10", "retrieval", "video-folder", "sync"):
        assert published(result(task)) == {}
    assert published(result("esc50", "finetune")) == {}, "none fine-tunes on ESC-50"
    notes = table(result("ucf101")).protocols
    assert [note.startswith("as published: ") for note in notes] == [False, True]


def test_what_others_report_comes_once_for_a_task_and_kind() -> None:
    rows = table(result("ucf101"), result("ucf101", clips=3), result("ucf101", run="runs/b")).rows
    named = [row.what for row in rows if row.what.endswith(", published")]
    assert len(named) == len(set(named))


def test_equal_protocols_share_a_number_and_others_do_not() -> None:
    rows = table(
        result("esc10", run="runs/a", model_stamp="a"),
        result("esc10", run="runs/b", checkpoint_step=0, model_stamp="b", chosen={"run": {"audio C": [0.1]}}),
        result("esc10", run="runs/a", clips=3),
    ).rows
    assert [row.protocol for row in rows] == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("form", FORMS)
def test_clips_that_lack_are_shouted(form: Any) -> None:
    shouted = "25.0 % OF THE CLIPS MISSING"
    assert shouted in format_table(table(result("esc10", missing_share=0.25)), form)
    assert "MISSING" not in format_table(table(result("esc10", missing_share=0.0)), form)
    assert "MISSING" not in format_table(table(result("esc10")), form)


def test_text_is_aligned_and_protocols_are_below() -> None:
    lines = format_table(table(result("esc10"), result("hmdb51", missing_share=0.5)), "text").splitlines()
    blank = lines.index("")
    columns = [lines[0].index(heading) for heading in HEADINGS]
    for line in lines[1:blank]:
        assert all(line[column - 2 : column] == "  " for column in columns[1:] if column < len(line))
        assert re.search(r"\[\d\]$", line)
    assert [line.split()[0] for line in lines[blank + 1 :]] == ["[1]", "[2]", "[3]"]


# Names as people give to folders: anything that a path may hold, in one line.
names = st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=20)


@given(name=names)
def test_each_line_of_markdown_has_its_columns(name: str) -> None:
    lines = format_table(table(result(run=name)), "markdown").splitlines()
    body = lines[: lines.index("")]
    assert body[1] == "|" + "---|" * len(HEADINGS)
    for line in body:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(HEADINGS) + 1
    assert all(re.match(r"- \[\d+\] ", line) for line in lines[len(body) + 1 :])


@given(name=names)
def test_each_line_of_latex_has_its_columns_and_nothing_that_means_something(name: str) -> None:
    lines = format_table(table(result(run=name)), "latex").splitlines()
    begin = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])
    assert begin is not None
    assert len(begin[1]) == len(HEADINGS)
    end = lines.index(r"\end{tabular}")
    for line in lines[1:end]:
        if line == r"\hline":
            continue
        assert line.endswith(r" \\")
        bare = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$\\(times|pm)\$", "", line.removesuffix(r" \\"))
        assert bare.count("&") == len(HEADINGS) - 1
        assert not re.search(r"[%$#_{}~^\\]", bare), line
    assert all(line.startswith("% [") for line in lines[end + 1 :])


def test_what_means_something_in_latex_is_escaped() -> None:
    text = format_table(table(result("esc10", run="50%_&#{}$~")), "latex")
    assert r"50\%\_\&\#\{\}\$\textasciitilde{}, step 400" in text
    assert r"52.0 \% $\pm$ 2.0" in text


def test_ranks_and_lifts_are_no_shares() -> None:
    ranked = Result(
        task="retrieval",
        protocol={"run": "r", "checkpoint_step": 1},
        metrics={"within_film_median_rank": Metric(mean=3.0, sd=0.5, n=2), "lift": Metric(mean=2.0, sd=0.0, n=1)},
    )
    assert [row.value for row in table(ranked).rows] == ["3.0 ± 0.5", "2.0"]
