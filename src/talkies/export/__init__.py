"""A run or an index taken elsewhere: encoders as a folder that stands alone, embeddings as plain tables."""

from talkies.export.run import RUN_FORMATS, ExportedRun, export_run
from talkies.export.vectors import VECTOR_FORMATS, ExportedVectors, export_vectors

__all__ = ["RUN_FORMATS", "VECTOR_FORMATS", "ExportedRun", "ExportedVectors", "export_run", "export_vectors"]
