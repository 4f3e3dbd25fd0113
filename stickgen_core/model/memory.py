"""Freed memory stays in the process, for the next layer to use.

glibc hands large blocks back to the kernel as soon as they are freed, so that every activation of every layer is paid for again in page
faults: a sixth of the time of sampling on a CPU (docs/log.md). Elsewhere than glibc this changes nothing.
"""

import ctypes
import sys
from functools import lru_cache

# Names of malloc.h. Older glibc takes no threshold above 32 MB.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
THRESHOLDS = (2**30, 32 * 2**20)
NEVER = 2**31 - 1


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Tell the C library once; True if it listened."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library without it
        return False
    return any(mallopt(M_MMAP_THRESHOLD, size) for size in THRESHOLDS) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
