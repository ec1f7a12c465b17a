"""Experiments that use the whole road: the demonstration, and the study."""

from talkies.study.demo import DemoReport, DemoScale, demo_document, demo_rows, run_demo

__all__ = ["DemoReport", "DemoScale", "demo_document", "demo_rows", "run_demo"]
