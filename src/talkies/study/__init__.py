"""Experiments that use the whole road: the demonstration, and the study."""

from talkies.study.demo import DEMO_COLUMNS, DemoReport, DemoScale, demo_document, demo_rows, run_demo

__all__ = ["DEMO_COLUMNS", "DemoReport", "DemoScale", "demo_document", "demo_rows", "run_demo"]
