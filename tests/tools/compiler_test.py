#!/usr/bin/env python3
"""Calls Bazel as the tools do, with a Bazel that says how it was called."""

import os
import pathlib
import subprocess
import tempfile
import unittest


def compilers(*arguments):
    """The compilers that coaio_bazel asks Bazel for."""
    with tempfile.TemporaryDirectory() as folder:
        bazel = pathlib.Path(folder, "bazel")
        bazel.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
        bazel.chmod(0o755)
        done = subprocess.run(
            ["bash", "-c", '. tools/common.sh; coaio_bazel build "$@"', "bash", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": folder},
        )
    return [line for line in done.stdout.splitlines() if line in ("--config=gcc", "--config=clang")]


class TheCommands(unittest.TestCase):
    def test_build_with_clang_unless_told_otherwise(self):
        self.assertEqual(compilers("//..."), ["--config=clang"])
        self.assertEqual(compilers("--config=asan", "//..."), ["--config=clang"])
        self.assertEqual(compilers("--config=gcc", "//..."), ["--config=gcc"])
        self.assertEqual(compilers("--config=clang", "//..."), ["--config=clang"])

    def test_install_clang(self):
        setup = pathlib.Path("tools/setup").read_text(encoding="utf-8")
        group = setup[setup.index("[build]=") : setup.index("[test]=")]
        self.assertIn(" clang-19 ", group)


if __name__ == "__main__":
    unittest.main()
