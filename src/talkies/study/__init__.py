"""Experiments that run every step, from films to a report: the demo, and the study of negatives."""

from talkies.study.demo import DEMO_COLUMNS, DemoReport, DemoScale, build_demo_document, list_demo_rows, run_demo
from talkies.study.results import StudyResults
from talkies.study.scale import Scale, list_scale_names, read_scale
from talkies.study.study import run_study
from talkies.study.summary import SUMMARY_COLUMNS, list_summary_rows

__all__ = [
    "DEMO_COLUMNS",
    "SUMMARY_COLUMNS",
    "DemoReport",
    "DemoScale",
    "Scale",
    "StudyResults",
    "build_demo_document",
    "list_demo_rows",
    "list_scale_names",
    "list_summary_rows",
    "read_scale",
    "run_demo",
    "run_study",
]
