"""What can go wrong in the demo, each with a sentence that tells the user what to do."""

from __future__ import annotations


class DemoError(Exception):
    """Base of the demo's errors; its text is meant to be shown as it is."""


class UnusableInputError(DemoError):
    """The input file is missing, or nothing in it can be played."""


class FilmError(DemoError):
    """There is no such film, or it could not be made."""


class PackagingError(DemoError):
    """Ffmpeg could not turn the input into HLS segments."""


class UnusableTruthError(DemoError):
    """The ground-truth file is missing or says nothing we can read."""


class StackError(DemoError):
    """The embedded stack did not start, or died."""


class StandstillError(DemoError):
    """Nothing has happened for so long that nothing will."""


class MatchError(DemoError):
    """The scripted match could not be made."""
