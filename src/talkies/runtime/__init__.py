"""How work runs: isolated processes with limits, local pools, a Ray cluster, atomic files, remote file systems."""

from talkies.runtime.atomic_files import hash_file, remove_abandoned, replace_atomically, write_atomically
from talkies.runtime.cluster import map_on_ray
from talkies.runtime.isolation import Isolated, IsolationError, ProcessLimits, ProgressCallback, peak_memory_bytes
from talkies.runtime.parallel import prefetch, exit_when_process_ends, map_in_processes
from talkies.runtime.remote import download, open_filesystem, is_remote, list_files

__all__ = [
    "Isolated",
    "IsolationError",
    "ProcessLimits",
    "ProgressCallback",
    "prefetch",
    "exit_when_process_ends",
    "download",
    "open_filesystem",
    "hash_file",
    "map_in_processes",
    "is_remote",
    "list_files",
    "map_on_ray",
    "peak_memory_bytes",
    "remove_abandoned",
    "replace_atomically",
    "write_atomically",
]
