"""Starts and ends the programs of the benchmark, each pinned to its CPU. None outlives this one."""

import ctypes
import json
import os
import select
import signal
import subprocess
import time

_START_SECONDS = 10
_STOP_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    def __init__(self, sentence, exit_code):
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code


def _start(command, cpu):
    def in_child():
        # Also when this process is killed in a way that it cannot handle.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    # A session of its own, so that Ctrl-C reaches this process only, which then ends the children in order.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True, preexec_fn=in_child)


def _last_line(text, fallback):
    lines = text.strip().splitlines()
    return lines[-1] if lines else fallback


class Server:
    """A running echo server: `with Server(command, cpu) as server: ... server.address, server.pid`."""

    def __init__(self, command, cpu):
        self._process = _start(command, cpu)
        self.pid = self._process.pid
        try:
            self.address = self._read_address()
        except BaseException:
            self._end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def _read_address(self):
        readable, _, _ = select.select([self._process.stdout], [], [], _START_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        prefix = "listening on "
        if line.startswith(prefix):
            return line[len(prefix):].strip()
        if readable:
            _, stderr = self._process.communicate(timeout=_STOP_SECONDS)
            raise Failed(_last_line(stderr, "it ended without a word"), self._process.returncode)
        raise Failed(f"it did not listen within {_START_SECONDS} s", None)

    def _end(self):
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except (subprocess.TimeoutExpired, ValueError):
            self._process.kill()
            self._process.wait()


def run_to_json(command, cpu, timeout):
    """The JSON object that a program prints. Ends the program whatever happens here."""
    process = _start(command, cpu)
    try:
        deadline = time.monotonic() + timeout
        stdout, stderr = process.communicate(timeout=max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Failed(f"no result after {timeout:.0f} s", None) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise Failed(_last_line(stderr, f"it ended with code {process.returncode}"), process.returncode)
    return json.loads(stdout)
