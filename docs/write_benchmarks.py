"""Write docs/benchmarks.md from the records in docs/results: `python docs/write_benchmarks.py [--check]`.

A record is one measurement: `section`, `title`, `columns` and `rows` of its table, `notes` in Markdown, and under
`origin` where the numbers come from: date, commit, machine, versions, command, weights and seed, null if nobody
noted it. They follow `head.md` in the order of their files' names. Nothing is computed here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "benchmarks.md"
ORIGIN = ("date", "commit", "machine", "versions", "command", "weights", "seed")


def records() -> Iterator[dict[str, Any]]:
    """All records, in the order of the page.

    Raises:
        SystemExit: a record lacks a part, or a row has another number of cells than there are columns.
    """
    for path in sorted((FOLDER / "results").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = {"section", "title", "origin", "columns", "rows", "notes"} ^ record.keys()
        missing |= set(ORIGIN) ^ record["origin"].keys()
        if missing:
            raise SystemExit(f"{path.name} lacks, or should not have: {', '.join(sorted(missing))}.")
        if wrong := [row for row in record["rows"] if len(row) != len(record["columns"])]:
            raise SystemExit(f"{path.name} has {len(record['columns'])} columns but the row {wrong[0]}.")
        yield record


def block(record: dict[str, Any]) -> str:
    """One record as Markdown: heading, table, notes, origin."""
    lines = [record["columns"], ["---"] * len(record["columns"]), *record["rows"]]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    origin = record["origin"]
    told = {name: "not noted" if origin[name] is None else str(origin[name]) for name in ORIGIN}
    if origin["command"] is not None:
        told["command"] = f"`{told['command']}`"
    source = "; ".join(f"{name}: {text}" for name, text in told.items())
    return "\n\n".join([f"### {record['title']}", table, *record["notes"], f"*{source}*"]) + "\n"


def page() -> str:
    """The whole page."""
    parts, section = [(FOLDER / "results" / "head.md").read_text(encoding="utf-8")], None
    for record in records():
        if record["section"] != section:
            section = record["section"]
            parts.append(f"## {section}\n")
        parts.append(block(record))
    return "\n".join(parts)


def main() -> None:
    """Write the page, or with --check say whether it is what the records give."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{PAGE} is not what docs/results give; run python docs/write_benchmarks.py.")


if __name__ == "__main__":
    main()
