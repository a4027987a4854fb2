"""Phrasebooks from the YAML files of `game_configs/languages/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from domain.highlights.titles import FALLBACK, Phrasebook, Phrasebooks
from infra.profiles.store import SUFFIX, shipped_directory


class InvalidPhrasebookError(ValueError):
    """A phrasebook cannot be used; the message names the file and what to change."""


@cache
def shipped_phrasebooks() -> Phrasebooks:
    """Return the phrasebooks that come with the product.

    Raises:
        InvalidPhrasebookError: a file is wrong.
    """
    return load_phrasebooks(shipped_directory() / "languages")


def load_phrasebooks(directory: Path) -> Phrasebooks:
    """Return the phrasebooks of a directory; a file's name is its language.

    Raises:
        InvalidPhrasebookError: a file is wrong, or there is none in English.
    """
    books = {path.stem: _load(path) for path in sorted(directory.glob(f"*{SUFFIX}"))}
    if FALLBACK not in books:
        raise InvalidPhrasebookError(f"{directory.name}/{FALLBACK}{SUFFIX} is missing: add it")
    return Phrasebooks(books)


def _load(path: Path) -> Phrasebook:
    name = f"{path.parent.name}/{path.name}"
    try:
        data = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        book = Phrasebook.model_validate(data, extra="forbid")
    except yaml.YAMLError as error:
        raise InvalidPhrasebookError(f"{name} is not valid YAML: {error}") from error
    except ValidationError as error:
        raise InvalidPhrasebookError(f"{name}: {error}") from error
    if book.language != path.stem:
        raise InvalidPhrasebookError(
            f"{name}: `language` is `{book.language}`; name the file after its language"
        )
    return book
