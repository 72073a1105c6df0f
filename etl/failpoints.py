"""Named places where a test may kill, stop or break the process.

`REVENUE_FAILPOINT="load.before_commit=kill"` kills at the first hit, `…:3=kill` at the third;
actions are kill, raise, enospc and sleep. Unset, a failpoint is one call that returns at once.
"""

from __future__ import annotations

import errno
import os
import signal
import time

_SPEC = os.environ.get("REVENUE_FAILPOINT", "")

NAMES = (
    "accept.before_rename",
    "accept.after_rename",
    "accept.after_commit",
    "extract.in_copy",
    "extract.before_commit",
    "extract.after_commit",
    "load.before_merge",
    "load.after_merge",
    "load.before_commit",
    "load.after_commit",
    "stop.before_commit",
    "stop.after_commit",
    "full.before_commit",
    "full.after_commit",
    "revert.before_write",
    "revert.before_commit",
    "revert.after_commit",
    "what_if.before_commit",
    "promote.before_commit",
    "promote.after_commit",
    "archive.before_move",
    "archive.after_move",
    "archive.before_error_file",
    "archive.before_commit",
    "archive.after_commit",
    "finish.before_commit",
    "finish.after_commit",
)

_hits: dict[str, int] = {}


def hit(name: str) -> None:
    """Do what the environment says at this place; normally nothing."""
    if not _SPEC:
        return
    place, _, action = _SPEC.partition("=")
    wanted, _, count = place.partition(":")
    if wanted != name:
        return
    _hits[name] = _hits.get(name, 0) + 1
    if _hits[name] != int(count or 1):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif action.startswith("sleep"):
        time.sleep(float(action.partition("/")[2] or 1))
    else:
        raise RuntimeError(f"failpoint {name}")
