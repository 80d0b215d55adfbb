#!/usr/bin/env python3
"""Checks that public headers use no word that docs/glossary.md replaces by another one."""

import pathlib
import re
import unittest

GLOSSARY = pathlib.Path("docs/glossary.md").read_text(encoding="utf-8")
BANNED = [
    pattern.replace(r"\|", "|")
    for pattern in re.findall(r"^\| `(.+)` \| ", GLOSSARY.split("## Words that public")[1], re.MULTILINE)
]
HEADERS = re.findall(r'^#include "(.+)"$', pathlib.Path("coaio.h").read_text(encoding="utf-8"), re.MULTILINE)


def found(pattern, text):
    return re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)


class TheGlossary(unittest.TestCase):
    def test_bans_words(self):
        self.assertGreater(len(BANNED), 5)
        self.assertTrue(any(found(pattern, "what nobody rings for") for pattern in BANNED))
        self.assertFalse(any(found(pattern, "a file descriptor is probed") for pattern in BANNED))


class PublicHeaders(unittest.TestCase):
    def test_are_found(self):
        self.assertGreater(len(HEADERS), 15)

    def test_use_no_banned_word(self):
        used = []
        for header in HEADERS:
            text = pathlib.Path(header).read_text(encoding="utf-8")
            for number, line in enumerate(text.splitlines(), 1):
                used += [f"{header}:{number}: {p}: {line.strip()}" for p in BANNED if found(p, line)]
        self.assertEqual(used, [], "\n" + "\n".join(used))


if __name__ == "__main__":
    unittest.main()
