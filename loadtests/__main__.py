"""Run the command line (command_line.py) on a Python that is new enough, in UTF-8, with open standard streams.

Python 3.6 can parse this file, so that an old one ends with a sentence.
"""

import os
import signal
import sys
from typing import NoReturn

ONCE = "restarted"  # an option of Python (-X) without any effect
NOT_UP, INTERRUPTED = 3, 130  # of ExitCode, which an old Python cannot import


def leave(*_: object) -> None:
    """End at once and in silence: while the modules load there is nothing to clean up."""
    os._exit(INTERRUPTED)


def fail(sentence: str) -> NoReturn:
    """End the process with the sentence."""
    print(f"loadtests: {sentence}", file=sys.stderr)
    sys.exit(NOT_UP)


def settle() -> None:
    """Start Python again in UTF-8 mode, so that no locale decides how files and output are written."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get its number, and with it what is printed
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003
    settled = sys.flags.utf8_mode and sys.executable and None not in (sys.stdin, sys.stdout, sys.stderr)
    if not settled and ONCE not in sys._xoptions:  # noqa: SLF001  # documented, in spite of its name
        python = sys.executable or os.path.realpath("/proc/self/exe")  # it knows no path of its own without PATH
        os.execv(python, [python, "-X", "utf8", "-X", ONCE, *sys.orig_argv[1:]])  # noqa: S606


interruptible = __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler
if interruptible:
    signal.signal(signal.SIGINT, leave)
if sys.version_info[:2] < (3, 11):  # noqa: UP036  # whoever starts this may have any
    found = ".".join(str(part) for part in sys.version_info[:3])
    fail(
        f"Python 3.11 or newer is needed; {sys.executable} is Python {found}. Name a newer one, as in "
        "`make loadtest PYTHON=python3.13` or `python3.13 -m loadtests run`."
    )
if __name__ == "__main__":
    settle()
try:
    from loadtests.command_line import main as main  # noqa: PLC0414  # for those that start it in their own process
    from loadtests.host.output import survive_lost_output
except ImportError as error:
    fail(
        f"{error}: this Python lacks part of its standard library, or the checkout lacks a file. Complete them, or "
        "name another Python, as in `make loadtest PYTHON=python3.13`."
    )

if interruptible:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    survive_lost_output()
    sys.exit(main())
