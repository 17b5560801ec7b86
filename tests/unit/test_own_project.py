"""What somebody says of their own project, and the copy that the lab serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.errors import BadInput, LabDown
from loadtests.host import own

PAGES = '[[page]]\npath = "/"\ncheck = { contains = "Welcome" }\n'


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine says of its users, without one."""
    monkeypatch.setattr(own, "this_user", lambda: "1000:1000")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "manage.py").write_text("")
    (folder / "pages.toml").write_text(PAGES)
    return folder


def asked(shop: Path, **variables: str) -> own.OwnProject:
    project = own.asked({"APP": str(shop), **variables})
    assert project is not None
    return project


def test_without_app_there_is_no_project() -> None:
    assert own.asked({}) is None
    assert own.asked({"APP": ""}) is None


def test_pages_and_variables_are_looked_for_here_and_then_in_the_project(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (shop / "shop.env").write_text("SECRET=there\n")
    assert asked(shop).load == shop / "pages.toml"
    assert asked(shop, APP_ENV="shop.env").environment == {"SECRET": "there"}
    (tmp_path / "shop.env").write_text("SECRET=here\n")
    assert asked(shop, APP_ENV="shop.env").environment == {"SECRET": "here"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"APP": "/nowhere/at/all"}, "APP must be the folder of a Django project"),
        ({"PAGES": "other.toml"}, "PAGES must be a file that says which pages"),
        ({"PAGES": "/proc/1/mem"}, "PAGES must be a file that"),
        ({"APP_ENV": "missing.env"}, "APP_ENV must be a file"),
        ({"SETTINGS": "shop settings"}, "SETTINGS must be a name"),
        ({"WSGI_APP": "../wsgi.py"}, "WSGI_APP must be a name"),
        ({"ASGI_APP": "shop.asgi:application; rm"}, "ASGI_APP must be a name"),
        ({"APP_HOST": "a b"}, "APP_HOST must be a host name"),
        ({"APP_HOST": "a\r\nX: y"}, "APP_HOST must be a host name"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(
    shop: Path, variables: dict[str, str], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        own.asked({"APP": str(shop), **variables})


IMAGE = {"IMAGE": "shop:latest", "WSGI_APP": "shop.wsgi:application", "ASGI_APP": "shop.asgi:application"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (IMAGE | {"APP": "/shop"}, "APP and IMAGE exclude each other"),
        (IMAGE | {"IMAGE": "shop latest"}, "IMAGE must be the name of an image"),
        (IMAGE | {"IMAGE": "--privileged"}, "IMAGE must be the name of an image"),
        (IMAGE | {"IMAGE": "$(id)"}, "IMAGE must be the name of an image"),
        (IMAGE | {"WSGI_APP": ""}, "WSGI_APP must name what the servers in the image load"),
        (IMAGE | {"ASGI_APP": "shop.asgi"}, "ASGI_APP must name what the servers in the image load"),
    ],
)
def test_an_image_needs_a_name_and_what_its_servers_load(
    shop: Path, variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    with pytest.raises(BadInput, match=said):
        own.asked(variables)


def test_an_image_gets_its_variables_by_a_file_that_compose_reads_and_nothing_is_left(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(own, "ask_engine", lambda *_: subprocess.CompletedProcess([], 0))
    (shop / "shop.env").write_text("PRICE='5$ or ${10}'\n")
    monkeypatch.setenv("WSGI_THREADS", "20")
    project = own.asked({**IMAGE, "APP_ENV": "shop.env"})
    assert project is not None
    with project.staged(tmp_path, "docker", lambda **_: None) as staged:
        beside, described = map(Path, staged[own.COMPOSE].split(os.pathsep))
        assert beside == own.IMAGE_FILE
        environment = json.loads(described.read_text())["services"]["wsgi-image"]["environment"]
        assert environment == {"PRICE": "5$$ or $${10}"}
        assert staged["IMAGE"] == "shop:latest"
        assert (staged["WSGI_WORKERS"], staged["WSGI_THREADS"]) == ("1", "20"), "as in compose.yaml, or as asked for"
        assert not described.parent.stat().st_mode & 0o077, "nobody else may read a secret there"
    assert not described.parent.exists()


def test_an_image_that_the_engine_has_not_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(own, "ask_engine", lambda *_: subprocess.CompletedProcess([], 1))
    project = own.asked(IMAGE)
    assert project is not None
    with pytest.raises(BadInput, match="the engine has no image shop:latest: build it"):
        project.staged(tmp_path, "docker", lambda **_: None).__enter__()


def test_several_workers_cannot_replay_under_a_host_which_is_refused(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "upstreams.toml"
    file.write_text(
        '[[upstream]]\nname = "prices"\nhost = "prices.example"\nlatency = 0.1\n'
        '[[upstream.answer]]\npath = "/*"\njson = {}\n'
    )
    environment = {"APP": str(shop), "UPSTREAMS": str(file)}
    with pytest.raises(BadInput, match="API_WORKERS must be 1 where UPSTREAMS has a host"):
        own.asked({**environment, "API_WORKERS": "2"})
    assert own.asked({**environment, "API_WORKERS": "1"}) is not None


def test_a_folder_without_manage_py_needs_its_settings(shop: Path) -> None:
    (shop / "manage.py").unlink()
    with pytest.raises(BadInput, match=r"no manage\.py to learn the settings from"):
        asked(shop)
    assert asked(shop, SETTINGS="shop.settings").folder == shop


def test_a_line_of_the_variables_file_that_is_none_is_named(shop: Path) -> None:
    (shop / "shop.env").write_text("A=1\nnonsense here\n")
    with pytest.raises(BadInput, match=r"^APP_ENV, .*shop\.env: line 2"):
        asked(shop, APP_ENV="shop.env")


def test_packages_come_from_requirements_or_else_from_pyproject_with_the_versions_of_uv_lock(shop: Path) -> None:
    assert asked(shop).packages is None
    (shop / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nrequires-python = ">=3.2"\ndependencies = ["django>=5", "attrs"]\n'
    )
    (shop / "uv.lock").write_text(
        '[[package]]\nname = "django"\nversion = "5.2.1"\nsource = { registry = "an index" }\n'
        '[[package]]\nname = "shop"\nversion = "1"\nsource = { virtual = "." }\n'
        '[[package]]\nname = "numpy"\nversion = "1"\nsource = { registry = "an index" }\n'
        '[[package]]\nname = "numpy"\nversion = "2"\nsource = { registry = "an index" }\n'
    )
    found = asked(shop).packages
    assert found == {
        "requirements.txt": b"-c constraints.txt\ndjango>=5\nattrs\n",
        "constraints.txt": b"django==5.2.1\n",
        "requires-python.txt": b">=3.2\n",
    }
    (shop / "requirements.txt").write_text("-r requirements/base.txt\n")
    (shop / "requirements").mkdir()
    (shop / "requirements" / "base.txt").write_text("django\n")
    assert asked(shop).packages == {
        "requirements.txt": b"-r requirements/base.txt\n",
        "requirements/base.txt": b"django\n",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("[project]\nname = 'shop'\n", "no dependencies under"), ("[project", "packages cannot be read")],
)
def test_a_pyproject_that_says_no_packages_is_refused(shop: Path, text: str, said: str) -> None:
    (shop / "pyproject.toml").write_text(text)
    with pytest.raises(BadInput, match=said):
        asked(shop)


def test_the_lab_serves_a_copy_that_every_user_may_write_to_and_removes_it(shop: Path, tmp_path: Path) -> None:
    (shop / "db.sqlite3").write_text("precious")
    (shop / "db.sqlite3").chmod(0o600)
    (shop / "link").symlink_to("/etc")
    (shop / ".git").mkdir()
    os.mkfifo(shop / "pipe")
    (shop / "shop.env").write_text("SECRET=s3cret\n")
    run, noted = tmp_path / "run", dict[str, str]()
    run.mkdir()
    with asked(shop, APP_ENV="shop.env", APP_SETUP="true").staged(run, "docker", noted.update) as variables:
        copy = Path(variables["APP_COPY"])
        assert (copy / "db.sqlite3").stat().st_mode & 0o666 == 0o666
        assert copy.stat().st_mode & 0o777 == 0o777
        assert copy.parent.stat().st_mode & 0o077 == 0  # nobody else reaches it
        assert (copy / "link").is_symlink()
        assert noted == {"scratch": str(copy.parent)}
        assert (run / "pages.toml").read_text() == PAGES
        assert not (copy / ".git").exists()
        assert not (copy / "pipe").exists()
        assert json.loads(Path(variables["APP_VARIABLES"]).read_text()) == {"SECRET": "s3cret"}
        assert variables["APP_SETUP"] == "true"
        assert variables["APP_USER"] == "1000:1000"  # else what the project writes could not be removed
        assert "s3cret" not in str(variables)
        (copy / "db.sqlite3").write_text("changed")
    assert not (run / "pages.toml").exists()  # it may hold a password
    assert (shop / "db.sqlite3").read_text() == "precious"
    assert (shop / "db.sqlite3").stat().st_mode & 0o777 == 0o600
    assert not copy.parent.exists()
    assert Path("/etc/passwd").exists()


def test_a_folder_that_is_too_large_to_copy_is_refused(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "MOST_FILES", 3)
    for number in range(3):
        (shop / f"{number}.jpg").write_text("")
    (shop / "node_modules").mkdir()
    with pytest.raises(BadInput, match="at most 3 files"):
        own.refuse_large(shop)
    (shop / "0.jpg").rename(shop / "node_modules" / "0.jpg")
    (shop / "1.jpg").unlink()
    own.refuse_large(shop)


def test_a_file_that_cannot_be_copied_is_said(shop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"  # which is not there
    with (
        pytest.raises(LabDown, match=r"pages\.toml could not be copied: .*run"),
        asked(shop).staged(run, "docker", dict[str, str]().update),
    ):
        pass


@pytest.mark.parametrize(("needed", "said"), [(">=3.2", ""), ("", ""), ("<3.3", "the project needs Python <3.3, and")])
def test_a_python_that_the_project_does_not_want_is_refused_before_anything_is_installed(
    tmp_path: Path, needed: str, said: str
) -> None:
    (tmp_path / "check_python.py").write_text(own.CHECK_PYTHON)
    (tmp_path / "requires-python.txt").write_text(f"{needed}\n")
    command = list(own.commands(Path(sys.executable), tmp_path, tmp_path / "requirements.txt"))[1]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == bool(said), checked.stderr
    assert said in checked.stderr
