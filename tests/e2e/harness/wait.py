"""Waiting for conditions. The only place where the tests sleep, and then only between two looks."""

import time

INTERVAL = 0.1


class TimedOut(AssertionError):
    pass


def wait_for(what, look, timeout=60, interval=INTERVAL):
    """Calls `look` until it returns something true, and returns that.

    `what` says in words what is waited for. What `look` returned last (something false), or the
    AssertionError that it raised last, is told when the time is over.
    """
    end = time.monotonic() + timeout
    while True:
        last = None
        try:
            found = look()
            if found:
                return found
            last = found
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            raise TimedOut(f"not within {timeout} s: {what}; last seen: {last!r}")
        time.sleep(interval)


def stays(what, look, seconds, interval=INTERVAL):
    """Checks that `look` holds now and at every look for `seconds`: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert look(), f"did not stay: {what}"
        time.sleep(interval)
