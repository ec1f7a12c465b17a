"""The audit: does a model merely recognise films? Measured, and said in words."""

from talkies.evaluation.audit.audit import audit, report_path, write_audit

__all__ = ["audit", "report_path", "write_audit"]
