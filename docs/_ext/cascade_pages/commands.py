"""The command reference: every command with its help, options and examples, from the command itself."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial

_INTRO = """\
(command-reference)=
# Commands

`cascade COMMAND --help` prints what stands here. The command exits with 0 when all went well, with 1 when a check found
errors, and with 2 when it was asked for something that cannot be done; then one line says what to mend.
"""


def command_page() -> dict[str, str]:
    """Return the page of all commands, in the order of the help."""
    asked = [sys.executable, "-m", "typer", "cascade.cli", "utils", "docs", "--name", "cascade"]
    text = subprocess.run(asked, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    _, _, text = text.partition("\n")  # its title
    text = re.sub(r"^Examples?: (.+)$", _examples, text, flags=re.MULTILINE)
    text = re.sub(r"^## `cascade (\S+)`$", r"(command-\1)=\n## `cascade \1`", text, flags=re.MULTILINE)
    text = re.sub(r"^\* `([a-z]\w*)`: .*$", partial(_listed, text), text, flags=re.MULTILINE)
    return {"commands.md": f"{_INTRO}\n{text.strip()}\n"}


def _listed(text: str, match: re.Match[str]) -> str:
    """List a command with its whole help, which typer cuts off, as a link to its section."""
    name = match.group(1)
    section = text.partition(f"## `cascade {name}`\n")[2].strip()
    return f"* [`{name}`](#command-{name}): {section.partition(chr(10))[0]}"


def _examples(match: re.Match[str]) -> str:
    lines = [f"$ {line}" for line in re.findall(r"`([^`]+)`", match.group(1))]
    return "**Examples**:\n\n```console\n" + "\n".join(lines) + "\n```"
