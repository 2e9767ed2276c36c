"""Replacing one function of MJX while a step of ours is traced, and only then."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_lock = threading.RLock()


@contextlib.contextmanager
def patched(
    owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Inside this context `owner.name` is `wrap(original)`.

    The replacement holds for the whole process, so only one thread at a time is inside; another
    that traces plain MJX meanwhile sees it too.
    """
    with _lock:
        original = getattr(owner, name)
        setattr(owner, name, wrap(original))
        try:
            yield
        finally:
            setattr(owner, name, original)
