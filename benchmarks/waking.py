"""What a look-up in a thread cannot cost less than: waking it, and being woken by it."""

from __future__ import annotations

import os
import select
import time
from threading import Lock, Thread

_TURNS = 4000


def cost_of_waking() -> float:
    """Microseconds of processor time to hand nothing to a thread that sleeps, and hear of it.

    Where processors sleep as well, waking them is most of it; on a busy machine they do not.
    """
    called = Lock()
    called.acquire()
    waker = os.eventfd(0)
    is_over = False

    def serve() -> None:
        while True:
            called.acquire()
            if is_over:
                return
            os.eventfd_write(waker, 1)

    thread = Thread(target=serve)
    thread.start()
    try:
        with select.epoll() as poll:
            poll.register(waker, select.EPOLLIN)
            before = time.process_time()
            for _ in range(_TURNS):
                called.release()
                poll.poll()
                os.eventfd_read(waker)
            return (time.process_time() - before) / _TURNS * 1e6
    finally:
        is_over = True
        called.release()
        thread.join()
        os.close(waker)
