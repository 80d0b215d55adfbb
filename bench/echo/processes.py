"""Starts and ends the programs of the benchmark, each pinned to its CPU. None outlives this one."""

import ctypes
import json
import os
import select
import signal
import subprocess

_START_SECONDS = 10
_STOP_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_running = set()
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    def __init__(self, sentence, exit_code):
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code


def _start(command, cpu):
    """Starts a program such that end_all() knows of it, wherever a signal interrupts this one."""
    interruptions = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interruptions)

    def in_child():
        # Also when this process is killed in a way that it cannot handle.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches this process only, which then ends the children in order.
            start_new_session=True,
            preexec_fn=in_child,
        )
        _running.add(process)
    except (OSError, subprocess.SubprocessError) as error:
        program = os.path.basename(command[0])
        reason = getattr(error, "strerror", None) or error
        raise Failed(f"{program} does not start: {reason}", None) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _kill(process):
    if process.poll() is None:
        process.kill()
        process.wait()
    _running.discard(process)


def end_all():
    """For the end of this process, whatever its cause."""
    for process in list(_running):
        _kill(process)


def _last_line(text, fallback):
    lines = text.strip().splitlines()
    return lines[-1] if lines else fallback


class Server:
    """A running echo server: `with Server(command, cpu) as server: ...` has its address and pid."""

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

    def how_it_ended(self):
        """Nothing while it runs, else the end of a sentence about what went wrong."""
        code = self._process.poll()
        return "" if code is None else f"; the server had ended with code {code}"

    def _read_address(self):
        readable, _, _ = select.select([self._process.stdout], [], [], _START_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        prefix = "listening on "
        if line.startswith(prefix):
            return line[len(prefix) :].strip()
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
            pass
        finally:
            _kill(self._process)


def run_to_json(command, cpu, timeout):
    """The JSON object that a program prints. Ends the program whatever happens here."""
    process = _start(command, cpu)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"no result after {timeout:.0f} s", None) from None
    finally:
        _kill(process)
    if process.returncode != 0:
        raise Failed(
            _last_line(stderr, f"it ended with code {process.returncode}"), process.returncode
        )
    return json.loads(stdout)
