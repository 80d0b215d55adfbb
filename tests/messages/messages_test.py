#!/usr/bin/env python3
"""Checks what users of coaio.h see: the compiler's answers to misuse, and the public names.

Misuse gives few errors, and the compiler prints the line that says the fix. Each name of namespace
coaio that coaio.h declares stands in public_names.txt, so that no internal name becomes public by
accident.
"""

import os
import re
import shutil
import subprocess
import unittest

CASES = "tests/messages/cases.cc"
PUBLIC_NAMES = "tests/messages/public_names.txt"
IN_A_TASK = "// await it in a coaio::Task"
IN_A_STATUS_TASK = "// or_return() needs a Task of a Status or a StatusOr"
AS_RVALUE = "// a task is awaited once: co_await std::move(task)"


def compilers():
    return [name for name in ("g++", "clang++-19") if shutil.which(name)]


def include_flags():
    """coaio's headers, and abseil's if Bazel has brought them."""
    external = "external/com_google_absl"
    folders = [".", *(f for f in (external, f"../{external[9:]}") if os.path.isdir(f))]
    return [flag for folder in folders for flag in ("-I", folder)]


def compile_case(compiler, case):
    """What the compiler says, in English, but for the warning of coaio.h about g++ 12."""
    defines = ["-DCOAIO_ACCEPT_GCC12_COROUTINES", f"-D{case}"]
    done = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", *include_flags(), *defines, CASES],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    return done.returncode, done.stderr


def names_of_namespace_coaio():
    """All names that coaio.h declares in namespace coaio, as clang lists them."""
    listing = ["-Xclang", "-ast-list", "-x", "c++", "coaio.h"]
    done = subprocess.run(
        ["clang++-19", "-std=c++20", "-fsyntax-only", *include_flags(), *listing],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"^coaio::(\w+)$", done.stdout, re.MULTILINE))


class Names(unittest.TestCase):
    @unittest.skipUnless(shutil.which("clang++-19"), "clang++-19 is not installed")
    def test_coaio_h_declares_no_name_that_is_not_meant_to_be_public(self):
        with open(PUBLIC_NAMES, encoding="utf-8") as lines:
            words = [line.split("#")[0].strip() for line in lines]
        listed = {word for word in words if word}
        declared = names_of_namespace_coaio()
        self.assertTrue(declared)
        fix = "move it into coaio::internal, or add it to " + PUBLIC_NAMES
        self.assertEqual(declared - listed, set(), fix)


class Messages(unittest.TestCase):
    def check_says(self, case, fix, places, errors):
        for compiler in compilers():
            with self.subTest(compiler=compiler, case=case):
                code, said = compile_case(compiler, case)
                self.assertNotEqual(code, 0)
                self.assertGreaterEqual(said.count(fix), places, said)
                count = len(re.findall(r": (?:fatal )?error: ", said))
                self.assertLessEqual(count, errors, said)

    def test_the_cases_compile_where_nothing_is_wrong(self):
        self.assertTrue(compilers())
        for compiler in compilers():
            code, said = compile_case(compiler, "NOTHING_WRONG")
            self.assertEqual((code, said), (0, ""), compiler)

    def test_awaiting_in_a_foreign_coroutine_gives_one_error_that_says_where_to_await(self):
        self.check_says("FOREIGN", IN_A_TASK, places=6, errors=6)

    def test_awaiting_a_task_as_an_lvalue_gives_an_error_that_says_to_move_it(self):
        # g++ adds that the task has no await_ready.
        self.check_says("LVALUE", AS_RVALUE, places=1, errors=2)

    def test_or_return_in_a_task_of_another_result_gives_one_error_that_says_which_result(self):
        self.check_says("OR_RETURN", IN_A_STATUS_TASK, places=2, errors=2)


if __name__ == "__main__":
    unittest.main()
