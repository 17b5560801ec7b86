"""Files that a person names: found here or in the project's folder, and read up to a limit."""

from __future__ import annotations

from pathlib import Path

from loadtests.errors import BadInput


def find(variable: str, name: str, folder: Path, kind: str, hint: str = "") -> Path:
    """Return the file that a variable names from here, or else from the project's folder. Raises BadInput."""
    for path in (Path(name).expanduser().absolute(), folder / name):
        if path.is_file():
            return path
    raise BadInput(f"{variable} must be {kind}; {name[:200]} is neither here nor in {folder.absolute()}{hint}")


def read(file: Path, most: int, what: str, hint: str = "") -> bytes:
    """Return the content of a file of at most `most` bytes. Raises BadInput with `what` was to be read."""
    try:
        if file.exists() and not file.is_file():
            raise BadInput(f"{what} is not a file{hint}")
        with file.open("rb") as stream:
            content = stream.read(most + 1)
    except (OSError, ValueError) as error:
        raise BadInput(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}{hint}") from error
    if len(content) > most:
        raise BadInput(f"{what} is larger than {most / 2**20:g} MB{hint}")
    return content
