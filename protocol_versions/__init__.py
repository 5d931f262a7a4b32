"""The revisions of the Model Context Protocol, found by file name.

A revision is a module or package named `vYYYY_MM_DD` that defines `REVISION`; adding one is adding a file.
Importing this package imports them all, oldest first, as each spells its differences from the one before.
"""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from protocol_versions.base import Revision

_NAME: Final = re.compile(r"v(\d{4})_(\d{2})_(\d{2})")


class UnknownRevision(KeyError):  # noqa: N818 (a look-up's outcome, named as the rest of the vocabulary)
    """No revision has this id."""


def _found() -> tuple[Revision, ...]:
    """Every revision beside this file, oldest first; the id of each must be the date in its file's name."""
    revisions = []
    for name in sorted(module.name for module in iter_modules(__path__)):
        date = _NAME.fullmatch(name)
        if date is None:
            continue
        revision: Revision = import_module(f"{__name__}.{name}").REVISION
        if revision.id != "-".join(date.groups()):
            raise ImportError(f"{__name__}.{name} describes revision {revision.id}")
        revisions.append(revision)
    return tuple(revisions)


REVISIONS: Final[tuple[Revision, ...]] = _found()
_BY_ID: Final = {revision.id: revision for revision in REVISIONS}


def by_id(revision_id: str) -> Revision:
    """The revision with this id.

    Raises:
        UnknownRevision: no such revision.
    """
    try:
        return _BY_ID[revision_id]
    except KeyError:
        raise UnknownRevision(revision_id) from None
