#!/usr/bin/env python3
"""Runs the examples as a user does, and checks what they say and how they end."""

import contextlib
import ctypes
import functools
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import unittest

PROGRAMS = pathlib.Path("examples")
WITHOUT_IO_URING = pathlib.Path("tests/support/without_io_uring")
PATIENCE = 30  # seconds; only what hangs needs them


def run(*command, **options):
    command = [str(part) for part in command]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)


def example(name, *arguments, **options):
    return run(PROGRAMS / name, *arguments, **options)


def with_descriptors(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


class Server:
    """A running echo_server, on a free port."""

    def __init__(self, *arguments):
        command = [str(PROGRAMS / "echo_server"), "--port=0", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.greeting = self.process.stdout.readline()
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+) \((\w+)\)\n", self.greeting)
        self.port, self.backend = (int(match[1]), match[2]) if match else (None, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def call(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def end(self):
        """The exit code and what was printed, once the process has ended by itself."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def report_skipped(what, reason):
    """In the form that tools/report_tests.py looks for: a line of its own, not after unittest's dots."""
    print(f"\nSKIPPED: {what}: {reason}", flush=True)


class TestCase(unittest.TestCase):
    def skipTest(self, reason):
        report_skipped(self.id(), reason)
        super().skipTest(reason)


@functools.cache
def available_backends():
    names = []
    for name in ("ppoll", "epoll", "io_uring"):
        with Server(f"--backend={name}") as server:
            if server.port is not None:
                names.append(name)
            else:
                report_skipped(name, server.process.communicate()[1].strip())
    return names


def shut_down_listener(pid):
    """Ends the only socket of another process, as the kernel does when it takes its network away."""
    number = next(
        int(link.name)
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    )
    pidfd_getfd = 438
    process = os.pidfd_open(pid)
    try:
        fd = ctypes.CDLL(None, use_errno=True).syscall(pidfd_getfd, process, number, 0)
        if fd < 0:
            raise PermissionError(ctypes.get_errno(), "pidfd_getfd")
    finally:
        os.close(process)
    with socket.socket(fileno=fd) as listener:
        listener.shutdown(socket.SHUT_RDWR)


class Echo(TestCase):
    def test_messages_come_back_on_every_back_end(self):
        for name in available_backends():
            for polling in ("off", "fixed:20", "grow_shrink:100"):
                with self.subTest(backend=name, polling=polling), Server(
                    f"--backend={name}", f"--polling={polling}"
                ) as server:
                    self.assertEqual(server.backend, name)
                    client = example(
                        "echo_client",
                        f"--port={server.port}",
                        f"--backend={name}",
                        f"--polling={polling}",
                        "--connections=4",
                        "--size=10000",
                        "--duration=0.1",
                    )
                    self.assertEqual((client.returncode, client.stderr), (0, ""))
                    self.assertRegex(client.stdout, r"^\d+ echoes, \d+/s, p50 [\d.]+ us, p99 [\d.]+ us\n$")

    def test_a_signal_ends_the_server_cleanly_also_while_a_connection_is_open(self):
        for name in available_backends():
            for number in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(backend=name, signal=number), Server(
                    f"--backend={name}", "--grace=0.05"
                ) as server, server.call() as connection:
                    connection.sendall(b"hello")
                    self.assertEqual(connection.recv(5), b"hello")
                    server.process.send_signal(number)
                    self.assertEqual(connection.recv(1), b"")
                    code, out, err = server.end()
                    self.assertEqual((code, err), (0, ""))
                    self.assertEqual(out, f"signal {int(number)}\nclosed: 1 connections are open\n")

    def test_during_the_grace_open_connections_go_on_and_no_new_ones_are_taken(self):
        with Server(f"--grace={PATIENCE}") as server, server.call() as connection:
            connection.sendall(b"1")
            self.assertEqual(connection.recv(1), b"1")
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.stdout.readline(), "signal 15\n")
            self.assertEqual(server.process.stdout.readline(), "closed: 1 connections are open\n")
            connection.sendall(b"2")
            self.assertEqual(connection.recv(1), b"2")
            with self.assertRaises(ConnectionRefusedError):
                server.call()
            server.process.send_signal(signal.SIGTERM)  # changes nothing
            connection.close()
            code, _, err = server.end()
            self.assertEqual((code, err), (0, ""))

    def test_a_server_that_can_accept_no_more_ends_with_a_sentence(self):
        for name in available_backends():
            with self.subTest(backend=name), Server(f"--backend={name}") as server:
                try:
                    shut_down_listener(server.process.pid)
                except PermissionError as error:
                    self.skipTest(f"a sandbox forbids to reach into a process: {error}")
                code, out, err = server.end()
                self.assertEqual((code, out), (1, "closed: 0 connections are open\n"))
                self.assertRegex(err, r"^echo_server: accept: EINVAL [^\n]*\n$")


    def test_a_connection_that_fails_does_not_end_the_server(self):
        for name in available_backends():
            with self.subTest(backend=name), Server(f"--backend={name}") as server:
                with server.call() as failing:
                    failing.sendall(b"1")
                    self.assertEqual(failing.recv(1), b"1")
                    reset = struct.pack("ii", 1, 0)
                    failing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                with server.call() as next_one:
                    next_one.sendall(b"2")
                    self.assertEqual(next_one.recv(1), b"2")

    def test_a_server_without_descriptors_says_so_once_and_serves_on(self):
        for name in available_backends():
            with self.subTest(backend=name), Server(f"--backend={name}") as server:
                descriptors = pathlib.Path(f"/proc/{server.process.pid}/fd")
                limit = max(int(link.name) for link in descriptors.iterdir()) + 3
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
                for _ in range(3):
                    with contextlib.ExitStack() as calls:
                        for connection in [calls.enter_context(server.call()) for _ in range(5)][:2]:
                            connection.sendall(b"1")
                            self.assertEqual(connection.recv(1), b"1")
                    with server.call() as later:
                        later.sendall(b"2")
                        self.assertEqual(later.recv(1), b"2")
                server.process.send_signal(signal.SIGTERM)
                code, _, err = server.end()
                self.assertEqual(code, 0)
                self.assertRegex(
                    err, rf"^coaio: accept on 127\.0\.0\.1:{server.port}: EMFILE [^\n]*ulimit -n[^\n]*\n$"
                )


class Others(TestCase):
    def test_hello(self):
        done = example("hello")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "hello\nworld\n", ""))

    def test_timers(self):
        done = example("timers")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        ticks = re.findall(r"(?m)^(\w+) +tick +(\d+), +(\d+) us late$", done.stdout)
        # How many there are is a matter of speed. None is early, lost or told twice.
        self.assertEqual(len(ticks), done.stdout.count("\n"))
        self.assertLessEqual({name for name, _, _ in ticks}, {"fast", "medium", "slow"})
        for name in ("fast", "medium", "slow"):
            counts = [int(count) for ticker, count, _ in ticks if ticker == name]
            self.assertEqual(counts, list(range(1, len(counts) + 1)))


class SharedMemory(TestCase):
    def test_calls_are_answered_on_every_back_end_one_by_one_and_as_a_stream(self):
        for name in available_backends():
            for way in ("one_by_one", "stream"):
                for polling in ("off", "learned"):
                    with self.subTest(backend=name, way=way, polling=polling):
                        done = example(
                            "shm_rpc/shm_rpc",
                            "--calls=500",
                            "--size=3000",
                            f"--way={way}",
                            f"--backend={name}",
                            f"--polling={polling}",
                        )
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                        self.assertRegex(done.stdout, r"^500 calls, \d+/s, [\d.]+ us each\n$")

    def test_bad_arguments_give_the_usage_and_exit_code_2(self):
        for argument in ("--calls=0", "--size=16385", "--way=both", "--backend=x", "--nonsense=1"):
            with self.subTest(argument=argument):
                done = example("shm_rpc/shm_rpc", argument)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn("usage: shm_rpc", done.stderr)


class Mistakes(TestCase):
    """Each is answered by one sentence that names the value and the fix."""

    def check_sentence(self, done, *parts):
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"^[^\n]+\n$")
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_bad_arguments_give_the_usage_and_exit_code_2(self):
        common = (
            "--port=99999",
            "--port=x",
            "--port=",
            "--nonsense=1",
            "positional",
            "--backend=kqueue",
            "--polling=sometimes",
        )
        own = {
            "echo_server": ("--grace=-1", "--grace=3601", "--grace=nan", "--grace=soon"),
            "echo_client": (
                "--port=0",
                "--connections=0",
                "--connections=100001",
                "--size=0",
                "--size=65537",  # client and server could wait for each other
                "--size=1e3",
                "--duration=-1",
                "--duration=86401",
                "--duration=inf",
                "--duration=",
            ),
        }
        for program in own:
            for argument in (*common, *own[program]):
                with self.subTest(program=program, argument=argument):
                    done = example(program, argument)
                    self.assertEqual(done.returncode, 2)
                    self.assertEqual(done.stdout, "")
                    name, _, value = argument.partition("=")
                    first = done.stderr.split("\n")[0]
                    self.assertIn(name, first)
                    if "nonsense" not in name:
                        self.assertIn(value, first)
                    self.assertIn(f"usage: {program}", done.stderr)

    def test_the_largest_message_comes_back(self):
        with Server() as server:
            done = example("echo_client", f"--port={server.port}", "--size=65536", "--duration=0.05")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_policy_of_the_usage_text_is_accepted(self):
        usage = example("echo_server", "--help").stdout
        for policy in ("off", "fixed", "grow_shrink", "learned", "learned_late"):
            self.assertRegex(usage, rf"\b{policy}\b")
        for policy in ("learned:5", "learned_late", "learned_late:5"):
            with self.subTest(policy=policy), Server(f"--polling={policy}") as server:
                self.assertIsNotNone(server.port)

    def test_help_is_not_a_mistake(self):
        for program in ("echo_server", "echo_client"):
            done = example(program, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(f"usage: {program}", done.stdout)

    def test_a_port_in_use(self):
        with Server() as server:
            done = example("echo_server", f"--port={server.port}")
            self.check_sentence(done, f"127.0.0.1:{server.port}", "EADDRINUSE", "choose another port")

    def test_an_address_that_cannot_be_resolved(self):
        for program in ("echo_server", "echo_client"):
            done = example(program, "--address=no such host")
            self.check_sentence(done, '"no such host"', "check the name")

    def test_an_address_of_another_machine(self):
        done = example("echo_server", "--address=192.0.2.1")
        self.check_sentence(done, "192.0.2.1:7777", "choose an address of this machine")

    def test_a_server_that_is_not_there(self):
        with socket.socket() as nobody:  # has the port, so that nobody else can, and does not listen
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            done = example("echo_client", f"--port={port}")
        self.check_sentence(done, f"127.0.0.1:{port}", "ECONNREFUSED", "start the server")

    def test_a_back_end_of_the_environment_that_does_not_exist(self):
        for program in ("echo_server", "hello"):
            done = example(program, env={**os.environ, "COAIO_BACKEND": "kqueue"})
            self.check_sentence(done, "COAIO_BACKEND", "kqueue", "epoll")

    def test_too_few_descriptors(self):
        if b"__ubsan_handle" in (PROGRAMS / "echo_server").read_bytes():
            self.skipTest("the sanitizer itself needs descriptors to look at an object")
        # Standard streams, sink, back end, wake-up, listener, signals. With fewer than four the C library
        # itself cannot start.
        needed = {"ppoll": 7, "epoll": 8, "io_uring": 8}
        for name in available_backends():
            for count in range(4, needed[name]):
                with self.subTest(backend=name, descriptors=count):
                    done = example(
                        "echo_server",
                        "--port=0",
                        f"--backend={name}",
                        preexec_fn=with_descriptors(count),
                    )
                    self.check_sentence(done, "EMFILE", "ulimit -n")

    def test_too_few_descriptors_for_the_connections_that_were_asked_for(self):
        with Server() as server:
            done = example(
                "echo_client",
                f"--port={server.port}",
                "--connections=50",
                preexec_fn=with_descriptors(20),
            )
            self.check_sentence(done, "EMFILE", "ulimit -n")

    def test_io_uring_where_it_is_forbidden(self):
        done = run(WITHOUT_IO_URING, PROGRAMS / "echo_server", "--port=0", "--backend=io_uring")
        if "liburing" in done.stderr:
            self.skipTest("built without liburing, which it says")
        self.check_sentence(done, "io_uring", "EPERM", "seccomp")

    def test_io_uring_forbidden_is_no_mistake_where_it_was_not_asked_for(self):
        done = run(WITHOUT_IO_URING, PROGRAMS / "hello")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "hello\nworld\n", ""))


if __name__ == "__main__":
    unittest.main()
