#!/usr/bin/env python3
"""Preprocesses coaio.h, without what it includes, by each compiler that is installed."""

import pathlib
import re
import shutil
import subprocess
import unittest

COMPILERS = [name for name in ("g++", "clang++-19") if shutil.which(name)]


def words(compiler, *options):
    """What the compiler says about coaio.h."""
    text = re.sub(r"^#include .*$", "", pathlib.Path("coaio.h").read_text(encoding="utf-8"), flags=re.M)
    command = [compiler, *options, "-E", "-x", "c++", "-o", "/dev/null", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
    return done.stderr


def is_warned_of(compiler):
    version = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=True).stdout
    return compiler == "g++" and int(version.split(".")[0]) < 13


class TheHeader(unittest.TestCase):
    def test_warns_once_of_a_compiler_that_is_wrong_about_coroutines(self):
        self.assertTrue(COMPILERS)
        for compiler in COMPILERS:
            with self.subTest(compiler=compiler):
                said = words(compiler)
                self.assertEqual(said.count("warning:"), 1 if is_warned_of(compiler) else 0, said)
                if is_warned_of(compiler):
                    self.assertIn("compile with clang", said)
                    self.assertIn("tools/find_compiler_traps", said)

    def test_is_silent_for_those_who_accept_it(self):
        for compiler in COMPILERS:
            with self.subTest(compiler=compiler):
                self.assertEqual(words(compiler, "-DCOAIO_ACCEPT_GCC12_COROUTINES"), "")


if __name__ == "__main__":
    unittest.main()
