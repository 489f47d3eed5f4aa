"""The memory that a machine has: the lowest limit of a control group, else the machine's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.jobs.memory import resident_memory, total_memory

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
GIB = 2**30
WAYS = ("no", "yes")
# Steps that each take and free the same memory, as those of a training do; prints the pages that the system gave.
STEPS = """
import resource, sys
import numpy as np
from pipeline.jobs.memory import keep_freed_blocks
if sys.argv[1] == "yes":
    keep_freed_blocks()
for i in range(20):
    if i == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(2**22), np.ones(2**23)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
V1_GROUPS = "9:name=systemd:/\n4:cpu,memory:/pods/one\n1:cpu:/elsewhere\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "limits", "total"),
    [
        (None, {}, 16),
        ("0::/\n", {}, 16),
        ("0::/pods/one\n", {"pods/one/memory.max": 4 * GIB}, 4),
        ("0::/pods/one\n", {"pods/one/memory.max": "max", "pods/memory.max": 6 * GIB}, 6),
        ("0::/pods/one\n", {"pods/one/memory.max": 5 * GIB, "pods/memory.max": 3 * GIB}, 3),
        ("0::/pods/one\n", {"pods/one/memory.max": 64 * GIB}, 16),
        ("0::/../../host/path\n", {"memory.max": 2 * GIB}, 2),
        (V1_GROUPS, {"memory/pods/one/memory.limit_in_bytes": 8 * GIB}, 8),
        (V1_GROUPS, {"memory/memory.limit_in_bytes": 7 * GIB}, 7),  # in a container, where the path is the host's
        (V1_GROUPS, {"memory/pods/one/memory.limit_in_bytes": 9223372036854771712}, 16),
        (V1_GROUPS, {"cpu/elsewhere/memory.limit_in_bytes": GIB, "elsewhere/memory.max": GIB}, 16),
    ],
)
def test_the_lowest_limit_counts(groups, limits, total, tmp_path: Path):
    files = {f"sys/fs/cgroup/{name}": f"{limit}\n" for name, limit in limits.items()}
    files["proc/meminfo"] = f"MemTotal:       {16 * 2**20} kB\nMemFree:        1 kB\nMemAvailable:   2 kB\n"
    if groups is not None:
        files["proc/self/cgroup"] = groups
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert total_memory(tmp_path) == total * GIB


def test_this_process_has_some_of_this_machine():
    assert 2**20 < resident_memory() < total_memory()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_large_blocks_go_back_to_the_system():
    """glibc takes blocks of a size that it has seen freed from its heap, where what is in use keeps the freed ones."""
    program = """
import sys
import numpy as np
from pipeline.jobs.memory import resident_memory, return_large_blocks
if sys.argv[1] == "yes":
    return_large_blocks()
first = np.ones(3 * 2**20)
del first
before, kept = resident_memory(), []
for i in range(12):
    freed = np.ones(2**20 + 2**16 * i)
    kept.append(np.ones(2**17))
    del freed
print((resident_memory() - before - sum(block.nbytes for block in kept)) // 2**20)
"""
    command = [sys.executable, "-c", program]
    held = [int(subprocess.run([*command, way], cwd=SCRIPTS, capture_output=True, check=True).stdout) for way in WAYS]
    assert held[1] <= 2 and held[1] <= held[0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_blocks_are_kept_for_the_next_step():
    command = [sys.executable, "-c", STEPS]
    pages = [int(subprocess.run([*command, way], cwd=SCRIPTS, capture_output=True, check=True).stdout) for way in WAYS]
    assert pages[1] < pages[0] / 20
