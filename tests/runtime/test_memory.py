"""Encoding keeps the memory that it frees: large tensors do not fault in anew for each batch."""

import platform
import resource
import subprocess
import sys

import pytest

_COUNT_FAULTS = """
import resource, sys, torch
if sys.argv[1] == "keep":
    from talkies.runtime import keep_freed_memory
    keep_freed_memory()
torch.set_num_threads(1)
torch.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(what: str) -> int:
    done = subprocess.run([sys.executable, "-c", _COUNT_FAULTS, what], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator setting of glibc")
def test_kept_memory_does_not_fault_in_again() -> None:
    pages = 8_000_000 * 4 // resource.getpagesize()
    assert count_faults("keep") < 3 * pages < count_faults("return")
