"""Write docs/cli.md from the commands' own help, so that the two never differ."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from catalog.cli.verbs import VERBS

PAGE = Path(__file__).with_name("cli.md")
_RUN = [
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'catalog'; from catalog.cli import main; main()",
]


def page() -> str:
    """The whole page."""
    parts = ["# The command line", "", "Made from the code by `make docs`.", ""]
    for words in ([], *([name] for name in VERBS)):
        title = " ".join(["catalog", *words])
        parts += [f"## {title}", "", "```text", help_of(words), "```", ""]
    return "\n".join(parts)


def help_of(words: list[str]) -> str:
    """What `catalog WORDS --help` prints at 100 columns."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    command = [*_RUN, *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
