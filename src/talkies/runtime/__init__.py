"""How work runs: isolated processes with limits, local pools, a Ray cluster, atomic files, remote file systems."""

from talkies.runtime.atomic_files import hash_of_file, remove_abandoned, replace_atomically, write_atomically
from talkies.runtime.cluster import on_ray
from talkies.runtime.isolation import Isolated, IsolationError, ProcessLimits, Report, peak_memory_bytes
from talkies.runtime.parallel import ahead, end_with, in_processes
from talkies.runtime.remote import fetched, filesystem, is_remote, list_files

__all__ = [
    "Isolated",
    "IsolationError",
    "ProcessLimits",
    "Report",
    "ahead",
    "end_with",
    "fetched",
    "filesystem",
    "hash_of_file",
    "in_processes",
    "is_remote",
    "list_files",
    "on_ray",
    "peak_memory_bytes",
    "remove_abandoned",
    "replace_atomically",
    "write_atomically",
]
