"""Lets the threads of the load go, holds them between two requests, and ends them."""

import threading
import time

HELD_SECONDS = 30


class Gate:
    def __init__(self):
        self.change = threading.Condition()
        self.open, self.ending, self.waiting, self.threads = True, False, 0, []
        # What went wrong in the harness itself.
        self.faults = []

    def start(self, work, *arguments):
        """A thread that does `work` again and again, `work()` being one turn that answers the seconds until its next."""

        def loop():
            try:
                pause = 0.0
                while self.turn(pause):
                    pause = work(*arguments) or 0.0
            except Exception as error:  # a fault of the harness must not pass as silence
                self.faults.append(f"the harness itself: {type(error).__name__}: {error}")
                raise

        thread = threading.Thread(target=loop, daemon=True)
        self.threads.append(thread)
        thread.start()

    def turn(self, pause):
        """Waits for its turn; false: the load ends."""
        with self.change:
            self.change.wait_for(lambda: self.ending or not self.open, pause)
            if not self.open and not self.ending:
                self.waiting += 1
                self.change.notify_all()
                self.change.wait_for(lambda: self.ending or self.open)
                self.waiting -= 1
            return not self.ending

    def hold(self):
        """Waits until no request is under way; whether that was so in time."""
        with self.change:
            self.open = False
            self.change.notify_all()
            alive = lambda: sum(t.is_alive() for t in self.threads)  # noqa: E731
            return self.change.wait_for(lambda: self.waiting >= alive(), HELD_SECONDS)

    def release(self):
        with self.change:
            self.open = True
            self.change.notify_all()

    def end(self):
        with self.change:
            self.ending = True
            self.change.notify_all()
        until = time.monotonic() + HELD_SECONDS
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))
