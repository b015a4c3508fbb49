"""Says what goes on, with seconds, and waits until a process answers."""

import time
import urllib.error
import urllib.request

from infra.local.processes import Processes, StackError

DEADLINE = 30.0


def say(line: str) -> None:
    """Tell the person one thing."""
    print(f"stack: {line}", flush=True)


class Step:
    """A progress line with the seconds that the step took."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.note = ""

    def __enter__(self) -> "Step":
        self._began = time.monotonic()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        took = time.monotonic() - self._began
        outcome = "failed after" if kind else "done in"
        note = f" ({self.note})" if self.note else ""
        say(f"{self.name} {outcome} {took:.1f} s{note}")


def answers(url: str) -> bool:
    """Say whether anything speaks HTTP there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 (our own loopback URLs)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_for(name: str, url: str, processes: Processes, what: str = "") -> None:
    """Wait until a process answers; fail at once when it has ended."""
    with Step(what or name):
        deadline = time.monotonic() + DEADLINE
        while not answers(url):
            if processes.get(name) is None:
                raise StackError(f"{name} ended: {processes.last_words(name)}")
            if time.monotonic() > deadline:
                raise StackError(f"{name} does not answer: {processes.last_words(name)}")
            time.sleep(0.1)
