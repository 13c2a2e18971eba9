"""Rooms: scratch memory that each thread keeps by shape, so that a warm step allocates nothing."""

import threading
from typing import Any


class Rooms(threading.local):
    """The rooms of one thread, which are all forgotten when a new one brings them over a limit.

    Whoever uses a room holds it, so that it outlives such a moment.

    Args:
        most: what is kept at most [bytes].
    """

    def __init__(self, most: int) -> None:
        self.most, self.size = most, 0
        self.kept: dict[Any, Any] = {}

    def keep(self, shape: Any, room: Any, size: int) -> Any:
        """Return the room, kept from now on under its shape; one that is larger than all may be is not kept.

        Args:
            size: what it holds [bytes], beyond a kilobyte for itself.
        """
        size += 1024
        if size <= self.most:
            if self.size + size > self.most:
                self.kept.clear()
                self.size = 0
            self.kept[shape] = room
            self.size += size
        return room
