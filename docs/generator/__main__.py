"""Write all pages below `docs/`, and what commands print today into the documents that show it."""

import sys

from docs.generator.executed import mend_outputs
from docs.generator.pages import ROOT, is_generated, pages


def main() -> int:
    """Write the pages, remove those that a former version wrote; 1 if something is left to be mended by hand."""
    folder = ROOT / "docs"
    written = {folder / name for name in pages(folder)}
    for path in sorted((folder / "reference").rglob("*.md")):
        if path not in written and is_generated(path.read_text(encoding="utf-8")):
            path.unlink()
    left = list(mend_outputs())
    for line in left:
        print(line, file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
