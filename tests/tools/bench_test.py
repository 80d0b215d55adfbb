#!/usr/bin/env python3
"""Runs tools/bench where there is no Python, as on a fresh Debian."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest


def write_script(path, text):
    path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


class ABareMachine(unittest.TestCase):
    def test_gets_python_before_the_arguments_are_looked_at(self):
        with tempfile.TemporaryDirectory() as folder:
            checkout, programs = pathlib.Path(folder, "checkout"), pathlib.Path(folder, "bin")
            (checkout / "tools").mkdir(parents=True)
            programs.mkdir()
            for name in ("bench", "common.sh"):
                shutil.copy(pathlib.Path("tools", name), checkout / "tools")
            for name in ("bash", "dirname", "env", "chmod"):
                (programs / name).symlink_to(shutil.which(name))
            # An installer that brings nothing but a Python that says how it was called.
            python = programs / "python3"
            write_script(
                checkout / "tools/setup",
                f"echo setup \"$@\"\necho '#!/bin/bash\necho python3 \"$@\"' > {python}\nchmod +x {python}",
            )
            done = subprocess.run(
                [checkout / "tools/bench", "--help"],
                capture_output=True,
                text=True,
                timeout=30,
                env={**os.environ, "HOME": folder, "PATH": str(programs)},
            )
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr),
            (0, "python3 bench/echo/run.py --check --help\n", "setup bench\n"),
        )


if __name__ == "__main__":
    unittest.main()
