"""Take a model or embeddings elsewhere: a run as a self-contained folder, a library's embeddings as plain tables."""

from talkies.export.model_folder import RUN_FORMATS, ExportedRun, export_run
from talkies.export.vectors import VECTOR_FORMATS, ExportedVectors, export_vectors

__all__ = ["RUN_FORMATS", "VECTOR_FORMATS", "ExportedRun", "ExportedVectors", "export_run", "export_vectors"]
