#!/usr/bin/env python3
"""Runs the forms of docs/compilers.md as they were compiled here.

A safe form is right with every compiler, an unsafe one with clang. What a g++ makes of an unsafe one
is printed, and fails nothing: a newer g++ may do better.
"""

import re
import signal
import subprocess
import unittest

PATIENCE = 20  # seconds; only what hangs needs them
PROGRAM = "tests/compilers/forms"


def ask(argument):
    return subprocess.run([PROGRAM, argument], capture_output=True, text=True, timeout=PATIENCE).stdout


def outcome(form):
    """ "right", or what happened instead."""
    try:
        done = subprocess.run(
            [PROGRAM, form], capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode < 0:
        words = done.stderr.strip().splitlines()
        return f"{signal.Signals(-done.returncode).name} {words[0][:100] if words else ''}".strip()
    if done.returncode > 0:
        return f"ends with {done.returncode}"
    return done.stdout.strip()


class TheForms(unittest.TestCase):
    compiler = ask("--compiler").strip()
    forms = ask("--list").split()

    def test_come_in_pairs(self):
        traps = [form.removeprefix("trap-") for form in self.forms if form.startswith("trap-")]
        twins = [form.removeprefix("twin-") for form in self.forms if form.startswith("twin-")]
        self.assertEqual(traps, twins)
        self.assertGreaterEqual(len(traps), 8)

    def test_are_right_where_they_are_safe(self):
        for form in self.forms:
            if form.startswith("twin-"):
                with self.subTest(form=form, compiler=self.compiler):
                    self.assertEqual(outcome(form), "right")

    def test_are_right_with_clang_where_they_are_not_safe(self):
        for form in self.forms:
            if form.startswith("trap-"):
                happened = outcome(form)
                print(f"{self.compiler}: {form}: {happened}")
                if re.match("clang", self.compiler):
                    with self.subTest(form=form):
                        self.assertEqual(happened, "right")


if __name__ == "__main__":
    unittest.main()
