#!/usr/bin/env python3
"""Runs the benchmark for very short times and checks what comes out, but not how fast; and that
the criteria are judged as they say."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).absolute().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import criteria
import pictures
import run as run_module
import scenarios

FIGURES = {
    "requests": 1000,
    "seconds": 1.0,
    "largest_share": 0.1,
    "polled_us": 10.0,
}
BLOCK = FIGURES | {"p50_us": 40.0, "p99_us": 80.0, "mean_us": 42.0, "cpu_percent": 10.0}
SPIN = FIGURES | {"p50_us": 10.0, "p99_us": 20.0, "mean_us": 11.0, "cpu_percent": 99.0}
GOOD = FIGURES | {"p50_us": 10.5, "p99_us": 30.0, "mean_us": 11.5, "cpu_percent": 10.5}


def made_up(learned):
    """Every scenario, where blocking costs 40 µs, spinning 10 and learning what is given."""
    runs = {}
    for scenario in scenarios.all_scenarios():
        for back_end in scenarios.BACK_ENDS:
            for policy in scenarios.POLICIES:
                which = (
                    BLOCK
                    if "grow" in policy
                    else {"block": BLOCK, "spin": SPIN}.get(policy, learned)
                )
                if scenario.name.startswith("cold") and which is GOOD:
                    which = GOOD | {"cpu_percent": 98.0}
                if scenario.name == "idle":
                    which = which | {"cpu_percent": 0.05}
                runs[scenario.name, back_end, policy] = [which, which]
    return criteria.Results(runs)


def run(program, *arguments):
    command = [sys.executable, HERE / program, f"--binaries={HERE}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


class TheCriteria(unittest.TestCase):
    def test_hold_for_a_policy_that_is_as_good_as_it_should_be(self):
        for sentence, value, holds in criteria.live(made_up(GOOD)):
            self.assertIsNot(holds, False, f"{sentence}: {value}")

    def test_fail_for_a_policy_that_only_blocks(self):
        rows = criteria.live(made_up(BLOCK))
        failed = [sentence for sentence, _, holds in rows if holds is False]
        self.assertIn("bursts: p50 <= 1.2 x spin", failed)
        self.assertIn("periodic, late polling: p50 <= 0.45 x block", failed)

    def test_count_the_cold_starts_that_polled(self):
        key = ("cold start, think 10", "epoll")
        runs = {(*key, "block"): [BLOCK] * 3, (*key, "learned"): [SPIN, BLOCK, SPIN]}
        self.assertEqual(criteria.Results(runs).polled(*key, "learned"), (2, 3))

    def test_are_not_judged_by_single_runs(self):
        for holds in (True, False, None):
            self.assertEqual(run_module._verdict(holds, repetitions=1), "one run: not a result")
        self.assertEqual(run_module._verdict(True, repetitions=3), "pass")
        self.assertEqual(run_module._verdict(False, repetitions=3), "FAIL")

    def test_name_the_worst(self):
        rows = list(criteria.live(made_up(GOOD | {"p50_us": 99.0})))
        self.assertIn("think 20", next(value for s, value, _ in rows if "cold starts: p50" in s))


class ARun(unittest.TestCase):
    def setUp(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("the loop and its partner need a CPU each")

    def test_prints_every_policy_and_writes_every_run(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "runs.json")
            result = run(
                "run.py", "--scenarios=bursts", "--repetitions=1", "--seconds=0.02", f"--out={out}"
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            document = json.loads(out.read_text(encoding="utf-8"))
        back_ends = {entry["back_end"] for entry in document["results"]}
        self.assertIn("epoll", back_ends)
        self.assertEqual(len(document["results"]), len(back_ends) * len(scenarios.POLICIES))
        for policy in scenarios.POLICIES:
            self.assertIn(policy, result.stdout)
        for entry in document["results"]:
            self.assertGreater(entry["runs"][0]["requests"], 0)

    def test_records_the_waits_of_the_loop(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = pathlib.Path(folder, "trace.txt")
            command = [
                HERE / "live",
                "--backend=epoll",
                "--polling=off",
                "--think=fixed:100",
                "--seconds=0.3",
            ]
            command += ["--loop_cpu=%d" % max(os.sched_getaffinity(0)), f"--record={trace}"]
            command += ["--partner_cpu=%d" % min(os.sched_getaffinity(0))]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            waits = [int(line) for line in trace.read_text(encoding="ascii").split()]
        self.assertTrue(waits)
        self.assertTrue(all(wait > 0 for wait in waits))


class APicture(unittest.TestCase):
    def test_is_well_formed_and_named_and_has_a_line_for_each_series(self):
        series = {"one": [1, 2, 3], "two": [1, 2, 3]}
        text = pictures.lines("a < b", "x", (1, 10, 1000), [1, 10, 100], series, True)
        svg = xml.etree.ElementTree.fromstring(text)
        self.assertEqual(svg.get("aria-label"), "a < b")
        self.assertEqual(text.count('class="c0"'), 2)
        self.assertEqual(text.count('class="c1"'), 2)
        self.assertNotIn("nan", text)


class TheCommandLine(unittest.TestCase):
    def test_answers_what_it_does_not_understand_with_usage_and_code_2(self):
        for argument in ("--think=never", "--nonsense=1", "--polling=maybe"):
            result = subprocess.run(
                [HERE / "live", argument], capture_output=True, text=True, timeout=60
            )
            self.assertEqual(result.returncode, 2, argument)
            self.assertIn("usage:", result.stderr)

    def test_names_the_value_that_it_refuses_and_what_it_takes_instead(self):
        for argument, sentence in (
            ("--transport=udp", "--transport does not know 'udp': use one of tcp, eventfd"),
            ("--share=101", "--share wants an integer from 0 to 100, not '101'"),
        ):
            result = subprocess.run(
                [HERE / "live", argument], capture_output=True, text=True, timeout=60
            )
            self.assertEqual(result.returncode, 2, argument)
            self.assertEqual(result.stderr.splitlines()[0], sentence)


if __name__ == "__main__":
    unittest.main(verbosity=2)
