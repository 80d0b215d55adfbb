#!/usr/bin/env python3
"""Runs tools/lint_headers over headers that it must accept or refuse."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

GOOD = """#ifndef A_H_
#define A_H_
#include <string>
inline std::string good() { return "good"; }
#endif
"""
WITHOUT_ITS_INCLUDE = GOOD.replace("#include <string>\n", "")
WITHOUT_A_GUARD = "struct Twice {};\n"


@unittest.skipUnless(shutil.which("clang++-19"), "clang++-19 is not installed")
class AHeader(unittest.TestCase):
    def lint(self, text):
        with tempfile.TemporaryDirectory() as folder:
            tools = pathlib.Path(folder, "tools")
            tools.mkdir()
            for name in ("lint_headers", "common.sh"):
                shutil.copy(pathlib.Path("tools", name), tools)
            (tools / "setup").write_text("#!/bin/bash\n", encoding="utf-8")
            (tools / "setup").chmod(0o755)
            pathlib.Path(folder, "a.h").write_text(text, encoding="utf-8")
            return subprocess.run(
                [tools / "lint_headers", "a.h"],
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "HOME": folder, "XDG_CACHE_HOME": folder},
            )

    def test_that_includes_what_it_uses_passes(self):
        done = self.lint(GOOD)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_that_relies_on_an_include_of_its_users_is_named(self):
        done = self.lint(WITHOUT_ITS_INCLUDE)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("a.h does not compile on its own", done.stderr)

    def test_without_an_include_guard_is_named(self):
        done = self.lint(WITHOUT_A_GUARD)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("a.h does not compile on its own", done.stderr)


if __name__ == "__main__":
    unittest.main()
