"""Work that goes on in a thread of its own while a block runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def going_on(
    work: Callable[[threading.Event], object], *, name: str, patience: float
) -> Iterator[None]:
    """Do `work` until the block ends; then set its event and wait `patience` seconds for it."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(patience)
