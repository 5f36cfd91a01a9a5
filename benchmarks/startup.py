"""CPU seconds of `mqverify --version` beside those of an empty Python, medians of several runs."""

import os
import statistics
import subprocess
import sys

RUNS = 9


def cpu_seconds(command: list[str]) -> float:
    figures = []
    for _ in range(RUNS):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        spent = after.children_user - before.children_user + after.children_system - before.children_system
        figures.append(spent)
    return statistics.median(figures)


def main() -> None:
    bare = cpu_seconds([sys.executable, "-c", "pass"])
    version = cpu_seconds([sys.executable, "-m", "mqverify", "--version"])
    print(
        f"mqverify --version: {version:.3f} s of CPU (aim 0.25); bare Python {bare:.3f} s; ratio {version / bare:.1f}"
    )


if __name__ == "__main__":
    main()
