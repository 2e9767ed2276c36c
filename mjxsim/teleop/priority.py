"""Threads that must not take the processor from the control thread."""

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_NICE = 10  # of 19; each step gives up about a fifth of what a thread gets beside a normal one


def lower() -> None:
    """Lowers the calling thread's priority, and that of threads it starts; on Linux only.

    Elsewhere a priority belongs to the whole process, and lowering it would help nobody.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Never upwards, which only root may.
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(now, _NICE))


def lowered(make: Callable[[], T]) -> T:
    """Calls `make` on a thread of low priority: threads that it starts have that too.

    What it raises is raised here.
    """
    made: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        lower()
        try:
            made.append(make())
        except BaseException as error:  # raised again where it was called
            failed.append(error)

    thread = threading.Thread(target=run, name="mjxsim-lowered")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
