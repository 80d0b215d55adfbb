"""How far the benchmark is: a bar that stays on its line on a terminal, plain lines elsewhere."""

import shutil
import sys
import time

_WIDTH = 12


class Progress:
    def __init__(self, total_seconds, stream=sys.stderr):
        self._total = total_seconds
        self._done = 0.0
        self._stream = stream
        self._terminal = stream.isatty()
        self._started = time.monotonic()
        self._last_chapter = None

    def show(self, chapter, step):
        """What is done now; on a plain stream only the chapters are printed."""
        if self._terminal:
            share = min(1.0, self._done / self._total)
            filled = round(share * _WIDTH)
            bar = "█" * filled + "░" * (_WIDTH - filled)
            line = f"{bar} {share:4.0%} {self._remaining(share):>10}  {chapter} · {step}"
            self._stream.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        elif chapter != self._last_chapter:
            self._stream.write(f"{self._remaining(self._done / self._total):>12}  {chapter}\n")
        self._last_chapter = chapter
        self._stream.flush()

    def advance(self, seconds):
        self._done += seconds

    def close(self):
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _remaining(self, share):
        elapsed = time.monotonic() - self._started
        # The first runs tell nothing yet about what starting and stopping costs.
        seconds = elapsed * (1 - share) / share if share > 0.05 else self._total
        return f"{int(seconds) // 60}:{int(seconds) % 60:02} left"
