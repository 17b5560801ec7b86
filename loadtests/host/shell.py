"""Run other programs: quietly to their end, or with a sign of life and their last words when they fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

from loadtests import ROOT
from loadtests.errors import LabDown


def start(
    command: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any]:
    """Start a command in the checkout, without input, and in a session that no terminal can end; `options` may differ.

    The session is a group of its own, so that what the command starts can be stopped with it.
    """
    usual: dict[str, Any] = {"cwd": ROOT, "stdin": DEVNULL, "stderr": STDOUT, "start_new_session": True}
    return subprocess.Popen(command, env=environment, **{**usual, **options})


def signal_group(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    """Send a signal to the process and its workers: the group of its session has its id."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def run_quiet(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit status is, and return what it prints."""
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **options)


def run_long(
    command: Sequence[str], what: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> None:
    """Show the command's latest line in place on a terminal. Raises LabDown with its last lines.

    `folder`: where a command of somebody's own runs, which may start others: they are stopped together.
    """
    last: deque[str] = deque(maxlen=15)
    terminal = sys.stderr.isatty()
    try:
        own: dict[str, Any] = {"cwd": folder, "start_new_session": folder is not None}
        process = start(command, environment, stdout=PIPE, text=True, errors="replace", **own)
    except OSError as error:
        raise LabDown(f"{what} failed: {command[0]}: {error.strerror}") from error
    with process:
        try:
            for line in process.stdout or ():
                last.append(line.rstrip())
                if terminal:
                    width = shutil.get_terminal_size().columns
                    print(f"\r\033[K  {last[-1].strip()[: width - 3]}", end="", file=sys.stderr, flush=True)
        except BaseException:  # nobody waits for it any longer
            signal_group(process, signal.SIGTERM) if folder else process.terminate()
            raise
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if process.returncode:
        raise LabDown(f"{what} failed (exit status {process.returncode}).", "\n".join(last))
