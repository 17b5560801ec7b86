"""A project of somebody's own: what is asked for, checked, and the copy of it that the lab serves.

The project itself is never written to. Its packages are installed into an image layer, or into a virtual environment
beside the lab's, which is kept for the next run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests import ROOT
from loadtests.errors import BadInput, LabDown
from loadtests.host import given, topology, variables, virtualenv
from loadtests.host.compose import ask_engine, this_user
from loadtests.host.shell import run_long
from loadtests.model import upstreams, workload
from loadtests.model.service import PORT

PAGES, LOCUSTFILE = "pages.toml", "locustfile.py"
SETUP, COMPOSE = "APP_SETUP", "APP_COMPOSE"  # variables
NOT_COPIED = (".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache", ".tox")
MOST_RECORDED = 50 * 2**20  # bytes of a file that upstreams.toml names
MOST_FILES, MOST_BYTES = 50_000, 2 * 2**30
REQUIREMENTS = "requirements.txt"
# Run by the Python that is to serve the project, which has pip's own copy of what reads a version's bounds.
CHECK_PYTHON = """
import platform, sys
from pathlib import Path
from pip._vendor.packaging.specifiers import SpecifierSet
file, here = Path(__file__).with_name("requires-python.txt"), platform.python_version()
needed = file.read_text().strip() if file.exists() else ""
if here not in SpecifierSet(needed):
    sys.exit(f"the project needs Python {needed}, and this is {here}: name another by PYTHON_IMAGE= or PYTHON=")
"""
LEAST = '[[page]]\npath = "/"\ncheck = { contains = "Welcome" }'
IMAGE_FILE = ROOT / "compose" / "image.yaml"
NAME = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?")
IMAGE = re.compile(r"[a-z0-9][\w.-]*(:\d+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", re.ASCII)
HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?")


@dataclass(frozen=True)
class OwnProject:
    """What somebody asks to be measured.

    `folder`: of its code; or else `image`: what holds it and its servers. `load`: the file that says what users do, and
    the `name` that it has in the run's folder. `packages`: the files of its requirements, None where it names none.
    """

    folder: Path
    image: str
    load: Path
    name: str
    environment: Mapping[str, str]
    setup: str
    compose: Path | None
    upstreams: Mapping[str, Any]
    packages: Mapping[str, bytes] | None

    @contextmanager
    def staged(self, folder: Path, runtime: str, note: Callable[..., None]) -> Iterator[dict[str, str]]:
        """Put the project where the runtime serves it, and what its users do into the run's folder.

        Yields the variables of compose.yaml that say where; then all of it is removed. `note` is told of the copy
        before there is one, so that the next launcher can remove it if this one is killed. Raises LabError.
        """
        needs = (
            (self.image, "IMAGE is an image"),
            (self.compose, f"{COMPOSE} describes containers"),
            (upstreams.hosts_of(self.upstreams), "UPSTREAMS has a host (as processes: variable)"),
        )
        for needed, what in needs:
            if needed and runtime == "process":
                raise BadInput(f"{what}, and the lab runs as processes: set RUNTIME=docker")
        if self.image and ask_engine("image", "inspect", self.image).returncode:
            raise BadInput(f"the engine has no image {self.image}: build it, or pull it (docker pull {self.image})")
        scratch = Path(tempfile.mkdtemp(prefix="lab-own-"))
        note(scratch=str(scratch))
        try:
            with copied(self.load, folder / self.name):
                try:
                    variables = {"APP_PAGES": str(folder / self.name), **stage(self, scratch)}
                except OSError as error:
                    raise LabDown(f"the project could not be copied: {str(error)[:500]}") from error
                if runtime == "docker":
                    variables["APP_USER"] = this_user()
                else:
                    variables["APP_BIN"] = str(python_of(self, variables))
                yield variables
        finally:
            remove(scratch)


def asked(environment: Mapping[str, str]) -> OwnProject | None:
    """Return the project that APP or IMAGE names, with all that can be known without starting it; None without either.

    Raises BadInput.
    """
    app, image = environment.get("APP", ""), environment.get("IMAGE", "")
    if not (app or image):
        return None
    if app and image:
        raise BadInput("APP and IMAGE exclude each other: the lab serves a project's folder, or an image that holds it")
    folder = Path(app).expanduser().absolute()
    if not folder.is_dir():
        raise BadInput(f"APP must be the folder of a Django project, the one that holds manage.py; {folder} is none")
    for name in ("SETTINGS", "WSGI_APP", "ASGI_APP"):
        if (value := environment.get(name)) and not NAME.fullmatch(value):
            raise BadInput(f"{name} must be a name that Python imports, as in shop.settings; it is {value[:80]!r}")
    if image:
        refuse_image(image, environment)
    elif not environment.get("SETTINGS") and not (folder / "manage.py").is_file():
        raise BadInput(
            f"{folder} has no manage.py to learn the settings from: set SETTINGS=shop.settings, and APP to the folder "
            "from which that can be imported"
        )
    load, name = load_of(environment, folder)
    addresses, replayed = upstreams_of(environment, folder)
    if upstreams.hosts_of(replayed) and int(environment.get("API_WORKERS") or 1) > 1:
        raise BadInput(
            "API_WORKERS must be 1 where UPSTREAMS has a host: one process has its ports 80 and 443, and signs for it; "
            f"it is {environment['API_WORKERS']}. Leave it out, or give the upstreams a variable instead of a host."
        )
    beside = environment.get(COMPOSE)
    compose = given.find(COMPOSE, beside, folder, "a Compose file") if beside else None
    if os.pathsep in str(compose):
        raise BadInput(f"{COMPOSE} must be a path without {os.pathsep!r}; it is {compose}")
    return OwnProject(
        folder=folder,
        image=image,
        load=load,
        name=name,
        environment=addresses | own_environment(environment, folder),
        setup=environment.get(SETUP, ""),
        compose=compose,
        upstreams=replayed,
        packages=None if image else packages(folder),
    )


def refuse_image(image: str, environment: Mapping[str, str]) -> None:
    """Raise BadInput for an image that is none, or of which nobody says what it serves."""
    if not IMAGE.fullmatch(image):
        raise BadInput(f"IMAGE must be the name of an image, as in shop:latest; it is {image[:80]!r}")
    if missing := [name for name in ("WSGI_APP", "ASGI_APP") if ":" not in environment.get(name, "")]:
        raise BadInput(f"{missing[0]} must name what the servers in the image load, as in shop.wsgi:application")


def load_of(environment: Mapping[str, str], folder: Path) -> tuple[Path, str]:
    """Return the file that says what users do, from here or else from the folder, and its name in a run's folder.

    Raises BadInput, also for a Host of these users that is none.
    """
    if (host := environment.get("APP_HOST")) and not HOST.fullmatch(host):
        raise BadInput(f"APP_HOST must be a host name, as in shop.example; it is {host[:80]!r}")
    kind, usual = ("LOCUSTFILE", LOCUSTFILE) if environment.get("LOCUSTFILE") else ("PAGES", PAGES)
    if kind == "LOCUSTFILE" and environment.get("PAGES"):
        raise BadInput("PAGES and LOCUSTFILE exclude each other: both say what users do")
    least = "" if kind == "LOCUSTFILE" else f". The least that it may hold:\n\n{LEAST}"
    what = "a file that says which pages users ask for"
    file = given.find(kind, environment.get(kind) or usual, folder, what, least)
    content = given.read(file, MOST_RECORDED, f"{kind} must be a file that can be read; {file}")
    if kind == "PAGES":
        workload.of_file(content, file.name)
    return file, usual


@contextmanager
def copied(file: Path, to: Path) -> Iterator[None]:
    """Have the file in the run's folder, where the load generator reads it; it may hold a password. Raises LabDown."""
    try:
        shutil.copyfile(file, to)
    except OSError as error:
        raise LabDown(f"{file} could not be copied: {error}") from error
    try:
        yield
    finally:
        to.unlink(missing_ok=True)


def stage(own: OwnProject, scratch: Path) -> dict[str, str]:
    """Put what is served below `scratch`; return the variables of compose.yaml that say where. Raises OSError."""
    staged = {SETUP: own.setup} if own.setup else {}
    beside: list[Path] = []  # Compose files, beside the lab's
    described: dict[str, Any] = {}  # services, in a Compose file of our own
    if own.image:
        defaults = topology.declared(topology.text())  # which compose/image.yaml does not repeat
        read = re.findall(r"\$\{(\w+)\}", IMAGE_FILE.read_text(encoding="utf-8"))
        staged |= {name: os.environ.get(name) or defaults[name] for name in read if name in defaults}
        staged["IMAGE"] = own.image
        beside.append(IMAGE_FILE)
        values = {name: in_compose(value) for name, value in own.environment.items()}
        described |= {name: {"environment": values} for name in ("wsgi-image", "asgi-image")}
    else:
        staged |= stage_folder(own, scratch)
    if own.upstreams:
        staged["APP_UPSTREAMS"] = written(scratch / "upstreams.json", own.upstreams)
        certificates = scratch / "certificates"
        certificates.mkdir()
        certificates.chmod(0o777)  # a container's user writes there; around it is this user's folder
        staged["APP_CERTIFICATES"] = str(certificates)
    if hosts := upstreams.hosts_of(own.upstreams):
        described[upstreams.SERVICE] = {"networks": {"default": {"aliases": hosts}}}
    if described:
        beside.append(Path(written(scratch / "compose.json", {"services": described})))
    if own.compose:
        beside.append(own.compose)
    return staged | ({COMPOSE: os.pathsep.join(map(str, beside))} if beside else {})


def written(file: Path, content: Any) -> str:
    """Write JSON that the containers' user may read, in a folder that is this user's alone; return the file's name."""
    file.write_text(json.dumps(content), encoding="utf-8")
    file.chmod(0o644)
    return str(file)


def in_compose(value: str) -> str:
    """Return a variable's value as a Compose file has it, where $ begins a variable of Compose's."""
    return value.replace(upstreams.ADDRESS, f"http://{upstreams.SERVICE}:{PORT}").replace("$", "$$")


def upstreams_of(environment: Mapping[str, str], folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the variables that lead the project to its upstreams, and what these replay. Raises BadInput."""
    if not (name := environment.get("UPSTREAMS")):
        return {}, {}
    file = given.find("UPSTREAMS", name, folder, "a file")

    def read(beside: str) -> bytes:
        return given.read(file.parent / beside, MOST_RECORDED, beside[:200])

    return upstreams.of_file(read(file.name), file.name, read)


def own_environment(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the variables that the file APP_ENV sets, for the project alone. Raises BadInput."""
    if not (name := environment.get("APP_ENV")):
        return {}
    file = given.find("APP_ENV", name, folder, "a file of NAME=value lines")
    try:
        return variables.read_dotenv(file.read_text(encoding="utf-8"), {})
    except (OSError, UnicodeDecodeError, BadInput) as error:
        raise BadInput(f"APP_ENV, {file}: {error}".replace(".env, line", "line")) from error


def packages(folder: Path) -> dict[str, bytes] | None:
    """Return the files that say what the project needs, by name, with requirements.txt among them. Raises BadInput."""
    if (folder / REQUIREMENTS).is_file():
        files = [*folder.glob("*.txt"), *folder.glob("requirements/*.txt")]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.stat().st_size < 2**20}
    if not (folder / "pyproject.toml").is_file():
        return None
    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        project: Mapping[str, Any] = content.get("project", {})
        pinned = locked(folder / "uv.lock")
    except (OSError, ValueError) as error:
        raise BadInput(f"the project's packages cannot be read: {error}") from error
    if "dependencies" not in project:
        raise BadInput(
            f"{folder / 'pyproject.toml'} has no dependencies under [project]. Write a {REQUIREMENTS} beside it (a "
            "lock's own tool exports one)."
        )
    lines = [str(line) for line in project["dependencies"]]
    return {
        REQUIREMENTS: text("-c constraints.txt", *lines),
        "constraints.txt": text(*pinned),
        "requires-python.txt": text(str(project.get("requires-python", ""))),
    }


def locked(lock: Path) -> list[str]:
    """Return the versions that a uv.lock pins; none without one. Raises ValueError, OSError."""
    if not lock.is_file():
        return []
    entries = tomllib.loads(lock.read_text(encoding="utf-8")).get("package", [])
    versions: dict[str, set[str]] = {}
    for entry in entries:
        if "registry" in entry.get("source", {}):
            versions.setdefault(entry["name"], set()).add(entry["version"])
    return [f"{name}=={min(pins)}" for name, pins in versions.items() if len(pins) == 1]


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def stage_folder(own: OwnProject, scratch: Path) -> dict[str, str]:
    """Copy the project and its requirements below `scratch`; return the variables of compose.yaml that name them.

    Raises BadInput, OSError.
    """
    copy = scratch / "app"
    refuse_large(own.folder)
    shutil.copytree(own.folder, copy, symlinks=True, ignore=left_out)
    for path in (copy, *copy.rglob("*")):  # no container of the lab runs as this user
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o666 | (0o111 if path.is_dir() else 0))
    staged = {"APP_COPY": str(copy), "APP_VARIABLES": written(scratch / "variables.json", own.environment)}
    if own.packages is not None:
        folder = scratch / "packages"
        for name, content in {**own.packages, "check_python.py": CHECK_PYTHON.encode()}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        staged |= {"APP_PACKAGES": str(folder), "APP_TARGET": "own"}
    return staged


def left_out(folder: str, names: Sequence[str]) -> set[str]:
    """Return which names of a folder are not copied: what no server needs, and sockets and pipes."""
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}  # noqa: PTH118  # as copytree names it
    copied = {name for name, mode in modes.items() if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)}
    return {name for name in names if name in NOT_COPIED or name not in copied}


def refuse_large(folder: Path) -> None:
    """Raise BadInput for a folder that is too large to be copied."""
    files = size = 0
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in NOT_COPIED]
        files += len(names)
        for name in names:
            status = os.lstat(os.path.join(at, name))  # noqa: PTH118  # of many thousand files
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if files > MOST_FILES or size > MOST_BYTES:
            raise BadInput(
                f"APP must be a folder of at most {MOST_FILES:,} files and {MOST_BYTES // 2**30} GB, since the lab "
                f"serves a copy of it; {folder} has more. Name the folder that holds manage.py and the code alone."
            )


def remove(scratch: Path) -> None:
    """Remove what was staged; never follows a link out of it."""
    shutil.rmtree(scratch, ignore_errors=True)


def python_of(own: OwnProject, staged: Mapping[str, str]) -> Path:
    """Return the folder of the Python that serves the project as processes, with its packages. Raises LabDown."""
    if own.packages is None:
        return virtualenv.PYTHON.parent
    parts = [sys.version.encode(), (ROOT / "requirements" / "serve.txt").read_bytes()]
    parts += [name.encode() + content for name, content in sorted(own.packages.items())]
    fingerprint = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    folder = virtualenv.FOLDER.with_name(f"{virtualenv.FOLDER.name}-own-{fingerprint}")
    stamp, python = folder / "installed", folder / "bin" / "python"
    if not stamp.is_file():
        print(f"Installing the project's packages into {folder.name} (once) …", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        for words in commands(python, folder, Path(staged["APP_PACKAGES"]) / REQUIREMENTS):
            run_long(words, "installing the project's packages", virtualenv.environment())
        stamp.touch()
    return python.parent


def commands(python: Path, folder: Path, requirements: Path) -> Iterable[list[str]]:
    """Yield what makes the virtual environment: the project's packages, and then the servers in the lab's versions."""
    system = getattr(sys, "_base_executable", sys.executable)
    yield [system, "-I", "-m", "venv", str(folder)]
    yield [str(python), "-I", str(requirements.with_name("check_python.py"))]
    pip = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
    yield [*pip, "-r", str(requirements)]
    yield [*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "serve.txt")]
