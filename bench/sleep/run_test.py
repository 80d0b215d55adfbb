#!/usr/bin/env python3
"""Runs the benchmark for very short times and checks what comes out, but not how fast."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).absolute().parent
BACK_ENDS = ("io_uring", "epoll", "ppoll")


def run(*arguments):
    command = [sys.executable, HERE / "run.py", f"--binaries={HERE}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


class ARun(unittest.TestCase):
    def test_prints_every_back_end_and_every_sleep_and_draws_the_pictures(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(
                "--backend=all", "--repetitions=1", "--seconds=0.01", f"--pictures={folder}"
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertTrue(pathlib.Path(folder, "epoll", "sleep-lateness.svg").exists())
            self.assertTrue(pathlib.Path(folder, "epoll", "sleep-cpu.svg").exists())
        for back_end in BACK_ENDS:
            told = f"{back_end}: lateness" in result.stdout
            refused = f"{back_end} does not take part" in result.stderr
            self.assertTrue(told != refused, back_end)
        for text in ("epoll: lateness", "ppoll: lateness", "10000", "polled tail", "bound 2: one run, not a result"):
            self.assertIn(text, result.stdout)

    def test_of_an_unknown_back_end_is_refused(self):
        result = run("--backend=select")
        self.assertEqual(result.returncode, 2)
        self.assertIn("usage:", result.stderr)


class TheProgram(unittest.TestCase):
    def test_measures_every_way_of_waiting(self):
        cpu = min(os.sched_getaffinity(0))
        for waiting in ("default_slack", "slack_1ns", "tail", "spin"):
            arguments = [f"--waiting={waiting}", "--seconds=0.01", "--backend=epoll", f"--cpu={cpu}"]
            result = subprocess.run(
                [HERE / "sleep_bench", *arguments], capture_output=True, text=True, timeout=60
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("cpu_percent", result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
