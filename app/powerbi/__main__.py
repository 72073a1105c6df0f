"""`make powerbi`: writes `powerbi/` anew and says what the linter finds in it."""

from __future__ import annotations

import sys
from pathlib import Path

from app.powerbi import lint, project
from app.powerbi.source import Source

FOLDER = Path(__file__).resolve().parents[2] / "powerbi"


def main() -> int:
    """Write the project; return 1 when the linter finds something."""
    written = project.write(FOLDER, Source(), anew=True)
    findings = lint.lint(project.read(FOLDER))
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    sys.stdout.write(f"{len(written)} files, {len(findings)} findings\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
