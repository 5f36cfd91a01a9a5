"""Write all pages: into `docs/`, or into a folder that is given instead."""

import sys
from pathlib import Path

from docs.generator.pages import ROOT, is_generated, pages


def main(folder: Path) -> None:
    """Write the pages and remove those that a former version wrote."""
    written = {folder / name for name in pages(folder)}
    for path in sorted((folder / "reference").rglob("*.md")):
        if path not in written and is_generated(path.read_text(encoding="utf-8")):
            path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
