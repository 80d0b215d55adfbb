#!/usr/bin/env python3
"""Feeds tools/report_tests.py with the logs of made-up tests, and checks what it counts."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest


def doctest_log(passed, failed, *skipped):
    lines = [f"SKIPPED: {line}" for line in skipped]
    summary = f"[doctest] test cases: {passed + failed:2} | {passed:2} passed | {failed} failed | 0 skipped"
    return "\n".join([*lines, summary, ""])


def report(*tests, bazel_status=0, outside=()):
    """What it prints about tests, which are pairs of a status and a log, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        events = []
        for number, (status, log) in enumerate(tests):
            path = pathlib.Path(folder, f"{number}.log")
            path.write_text(log, encoding="utf-8")
            kind = "passed" if status == "PASSED" else "failed"
            events.append(
                {
                    "id": {"testSummary": {"label": f"//:{number}"}},
                    "testSummary": {"overallStatus": status, kind: [{"uri": path.as_uri()}]},
                }
            )
        file = pathlib.Path(folder, "events")
        file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
        command = [sys.executable, "tools/report_tests.py", str(bazel_status), str(file), *outside]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout.splitlines(), done.returncode


class TheCount(unittest.TestCase):
    def test_is_of_cases_where_doctest_ran(self):
        self.assertEqual(
            report(("PASSED", doctest_log(5, 0)), ("FAILED", doctest_log(3, 2))),
            (["8 passed, 2 failed"], 1),
        )

    def test_takes_skipped_cases_from_the_passed_ones(self):
        log = doctest_log(5, 0, "a case: reason", "another: reason")
        self.assertEqual(
            report(("PASSED", log)),
            (
                [
                    "skipped: //:0: a case: reason",
                    "skipped: //:0: another: reason",
                    "3 passed, 0 failed, 2 skipped",
                ],
                0,
            ),
        )

    def test_has_a_case_once_that_is_skipped_on_each_back_end(self):
        log = doctest_log(5, 0, "a case: reason", "a case: reason")
        self.assertEqual(report(("PASSED", log))[0][-1], "4 passed, 0 failed, 1 skipped")

    def test_of_a_script_stays_one_whatever_it_skips(self):
        log = "SKIPPED: one: reason\nSKIPPED: two: reason\nOK\n"
        self.assertEqual(report(("PASSED", log))[0][-1], "1 passed, 0 failed, 2 skipped")

    def test_has_a_failure_for_a_test_that_died(self):
        self.assertEqual(
            report(("FAILED", "Segmentation fault\n")), (["0 passed, 1 failed"], 1)
        )

    def test_has_a_failure_for_what_could_not_be_built(self):
        self.assertEqual(
            report(("PASSED", doctest_log(1, 0)), bazel_status=1), (["1 passed, 1 failed"], 1)
        )

    def test_includes_what_ran_outside_bazel(self):
        outside = ("passed", "failed", "skipped: tests/consumer: reason")
        self.assertEqual(
            report(outside=outside),
            (["skipped: tests/consumer: reason", "1 passed, 1 failed, 1 skipped"], 1),
        )


if __name__ == "__main__":
    unittest.main()
