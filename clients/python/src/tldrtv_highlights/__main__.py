"""Run the programs of this package."""

from __future__ import annotations

from tldrtv_highlights.devtools.command import run

if __name__ == "__main__":
    run()
