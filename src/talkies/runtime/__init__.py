"""How work runs: isolated processes with limits, process pools, a Ray cluster, atomic files, remote file systems."""

from talkies.runtime.atomic_files import hash_file, remove_abandoned, replace_atomically, write_atomically
from talkies.runtime.cluster import map_on_ray, open_cluster
from talkies.runtime.isolation import IsolatedProcess, IsolationError, ProcessLimits, ProgressCallback, read_peak_memory
from talkies.runtime.parallel import count_cores, exit_when_process_ends, map_in_processes, prefetch
from talkies.runtime.paths import find_path
from talkies.runtime.rank_connections import HubAddress
from talkies.runtime.rank_watch import Failure, RankHub, RankMember, RankWatch
from talkies.runtime.remote import download, is_remote, list_files, open_filesystem
from talkies.runtime.termination import DelayedTermination

__all__ = [
    "DelayedTermination",
    "Failure",
    "HubAddress",
    "IsolatedProcess",
    "IsolationError",
    "ProcessLimits",
    "ProgressCallback",
    "RankHub",
    "RankMember",
    "RankWatch",
    "count_cores",
    "download",
    "exit_when_process_ends",
    "find_path",
    "hash_file",
    "is_remote",
    "list_files",
    "map_in_processes",
    "map_on_ray",
    "open_cluster",
    "open_filesystem",
    "prefetch",
    "read_peak_memory",
    "remove_abandoned",
    "replace_atomically",
    "write_atomically",
]
