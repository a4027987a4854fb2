"""Run a program that dies with its parent: `die_with_parent.py PARENT SIGNAL UID GID NICE ARGV…`.

It asks the kernel for a signal on the parent's death (prctl(2), PR_SET_PDEATHSIG; Linux) and then
becomes the program. The signal is that of the parent's *thread*: start from one that lives as
long as the child should. Elsewhere than on Linux a child is stopped by its parent only.

A separate script, and run as such, since code between fork and exec in a process with threads
may deadlock. It must need nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Yield the processor and change user if asked, bind to the parent, become the program."""
    parent, death_signal, uid, gid, niceness = (int(argument) for argument in sys.argv[1:6])
    program = sys.argv[6:]
    os.nice(niceness)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)  # resets the death signal, so it comes first
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # A shell's background jobs ignore SIGINT, and their children inherit that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execvp(program[0], program)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    main()
