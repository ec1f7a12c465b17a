"""Memory of this process that is freed and soon needed again."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, for its next batch; without glibc nothing happens.

    By default glibc returns every large tensor to the system, and the next batch pays for the same page faults again:
    two thirds of the time in which a CPU encodes clips with EfficientNet-Lite0.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
