"""Chapter marks of an MP4 file, as ffmpeg reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from domain.exports.reels import ReelChapter

_SPECIAL: Final = re.compile(r"([=;#\\\\])")
_INTRO: Final = "Intro"


def chapter_marks(chapters: Sequence[ReelChapter]) -> str:
    """Return chapters as an ffmetadata file (ffmpeg-formats, Metadata).

    The first chapter of an MP4 begins at 0, so that what comes before the first clip is one too.
    """
    lines = [";FFMETADATA1"]
    marks = [(chapter.start, chapter.end, chapter.title) for chapter in chapters]
    if marks and marks[0][0] > 0.0:
        marks.insert(0, (0.0, marks[0][0], _INTRO))
    for start, end, text in marks:
        title = "".join(each if each.isprintable() else " " for each in text)
        lines += ["[CHAPTER]", "TIMEBASE=1/1000"]
        lines += [f"START={round(start * 1000)}", f"END={round(end * 1000)}"]
        lines += ["title=" + _SPECIAL.sub(r"\\\1", title)]
    return "\n".join(lines) + "\n"


def chapters_command(source: Path, marks: Path, target: Path, *, binary: Path) -> list[str]:
    """Return the command that copies an MP4 file and adds chapter marks."""
    local = ("-protocol_whitelist", "file")
    command = [str(binary), "-hide_banner", "-loglevel", "error", *local, "-i", str(source)]
    command += [*local, "-f", "ffmetadata", "-i", str(marks), "-map", "0", "-map_chapters", "1"]
    return [*command, "-c", "copy", "-movflags", "+faststart", "-y", str(target)]
