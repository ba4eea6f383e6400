"""The commands and files of the pages about deployment start the application of the page, and serve it."""

from __future__ import annotations

import configparser
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import flask
import pytest
from flask import Flask, request, session
from support.pages import blocks
from support.servers import IS_ROOT, find_program, free_port, until_we_end, wait_for
from werkzeug.serving import BaseWSGIServer, make_server

import holdfast
from holdfast.flask import Session
from holdfast.stores.memory import MemoryStore
from holdfast.testing import FailingStore

DEPLOY, PROXY = "docs/how-to/deploy.md", "docs/how-to/behind-a-proxy.md"
SCRIPTS = Path(sys.executable).parent


@contextmanager
def running(command: Sequence[str | Path], folder: Path) -> Iterator[None]:
    """Run *command* in *folder* while the block runs."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*until_we_end(), *map(str, command)], cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def get(url: str, **headers: str) -> str:
    """Return the body of the answer of *url*, which must be there soon."""
    found: list[str] = []

    def ask() -> None:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:  # noqa: S310  # http, on this machine
            found.append(answer.read().decode())

    wait_for(ask)
    return found[-1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with the page's application."""
    [program] = blocks(DEPLOY, "python")
    (tmp_path / "app.py").write_text(program, "utf-8")
    return tmp_path


def ini(section: str) -> dict[str, dict[str, str]]:
    """Return the sections of the page's file with *section*."""
    [text] = [block for block in blocks(DEPLOY, "ini") if f"[{section}]" in block]
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def by_gunicorn(line: str, port: int) -> list[str]:
    """Return the words of the page's *line* for one worker on *port*, with the gunicorn that is here."""
    line = re.sub(r"--workers \d+", "--workers 1", line.replace(":8000", f":{port}"))
    program, *words = shlex.split(line)
    assert Path(program).name == "gunicorn"
    return [str(SCRIPTS / "gunicorn"), *words]


def commands(port: int, folder: Path) -> dict[str, Callable[[], list[str]]]:
    """Return what makes the command of each part of the page."""

    def uwsgi() -> list[str]:
        if not (SCRIPTS / "pyuwsgi").exists():
            pytest.skip("pyuwsgi is not installed: it has wheels for Linux on x86-64")
        options = ini("uwsgi")["uwsgi"] | {"processes": "1", "http-socket": f"127.0.0.1:{port}"}
        (folder / "uwsgi.ini").write_text("[uwsgi]\n" + "".join(f"{name} = {options[name]}\n" for name in options))
        return [str(SCRIPTS / "pyuwsgi"), "--ini", "uwsgi.ini"]

    return {
        "gunicorn": lambda: by_gunicorn(next(line for line in blocks(DEPLOY, "sh") if "gunicorn" in line), port),
        "systemd": lambda: by_gunicorn(ini("Service")["Service"]["ExecStart"], port),
        "uwsgi": uwsgi,
    }


@pytest.mark.slow
@pytest.mark.parametrize("server", ["gunicorn", "systemd", "uwsgi"])
def test_the_server_of_the_page_serves_the_application(server: str, site: Path) -> None:
    """The command starts the page's application, which is live and ready."""
    port = free_port()
    with running(commands(port, site)[server](), site):
        assert [get(f"http://127.0.0.1:{port}/{path}") for path in ("live", "ready")] == ["ok\n", "ok\n"]


@pytest.mark.slow
@pytest.mark.parametrize("main", [True, False], ids=["in the main interpreter", "in two interpreters"])
def test_several_applications_in_one_process(main: bool, tmp_path: Path) -> None:
    """Two that seal their sessions share a process with the page's options; without, an error names the missing one."""
    port = free_port()
    for name in "ab":
        (tmp_path / f"{name}.py").write_text(
            "from flask import Flask\nfrom holdfast.flask import Session\n"
            f"app = Flask({name!r}, instance_path={str(tmp_path / name)!r})\n"
            f"app.config['SESSION_SEAL_KEYS'] = [{secrets.token_urlsafe(32)!r}]\nSession(app)\n"
            f"app.add_url_rule('/', 'home', lambda: {name!r})\n"
        )
    command = commands(port, tmp_path)["uwsgi"]()
    options = (tmp_path / "uwsgi.ini").read_text().replace("module = app:app\n", "")
    assert "single-interpreter = true\n" in options
    options += "manage-script-name = true\nmount = /a=a:app\nmount = /b=b:app\n"
    (tmp_path / "uwsgi.ini").write_text(options if main else options.replace("single-interpreter = true\n", ""))
    with running(command, tmp_path):
        assert get(f"http://127.0.0.1:{port}/a/") == "a"
        assert not main or get(f"http://127.0.0.1:{port}/b/") == "b"
    said = "run the application in the main one" in (tmp_path / "log").read_text()
    assert said is not main


@pytest.mark.slow
def test_apache_of_the_page_serves_the_application(site: Path, require: Callable[[str], str]) -> None:
    """With the page's directives the application is live and ready, and gets the header with a client's token."""
    apache, python, port = require("apache2"), "/usr/bin/python3", free_port()
    tell = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    folder = Path("/usr/lib/apache2/modules")
    if not (folder / "mod_wsgi.so").exists() or subprocess.run([python, "-c", tell], check=False).returncode:
        pytest.skip("mod_wsgi is not installed, or for another version of Python")
    with (site / "app.py").open("a") as program:
        program.write(
            "from flask import request\n@app.get('/token')\ndef token():\n    return request.authorization.token\n"
        )
    subprocess.run([python, "-m", "venv", "--without-pip", site / ".venv"], check=True)
    [packages] = (site / ".venv").glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text(f"{Path(holdfast.__file__).parents[1]}\n{Path(flask.__file__).parents[1]}\n")
    [text] = blocks(DEPLOY, "apache")
    modules = [
        f"LoadModule {name}_module {folder}/mod_{name}.so" for name in ("mpm_event", "authz_core", "alias", "wsgi")
    ]
    server = [f"ServerRoot {site}", "ServerName shop", f"Listen 127.0.0.1:{port}", "PidFile pid", "ErrorLog errors"]
    directives = text.replace("/srv/shop", str(site)).replace("processes=4", "processes=1")
    (site / "httpd.conf").write_text("\n".join([*server, *modules, "WSGISocketPrefix socket", directives]))
    command: list[str | Path] = [apache, "-f", site / "httpd.conf", "-DFOREGROUND"]
    if IS_ROOT:  # Apache serves as another user, who may not read the tests' folders
        capable = ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        command = [require("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", *capable, *command]
    with running(command, site):
        assert [get(f"http://127.0.0.1:{port}/{path}") for path in ("live", "ready")] == ["ok\n", "ok\n"]
        assert get(f"http://127.0.0.1:{port}/token", Authorization="Bearer secret") == "secret"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """``systemd-analyze verify`` finds no fault; where it is missing, the sections and their names are looked at."""
    unit = ini("Service")
    assert set(unit) == {"Unit", "Service", "Install"}
    assert unit["Service"]["ExecStart"].startswith(f"{unit['Service']['WorkingDirectory']}/.venv/bin/")
    analyze = find_program("systemd-analyze")
    if analyze is not None:
        [text] = [block for block in blocks(DEPLOY, "ini") if "[Service]" in block]
        (tmp_path / "shop.service").write_text(text.replace("/srv/shop/.venv/bin/gunicorn", sys.executable))
        done = subprocess.run(
            [analyze, "verify", "--man=no", "shop.service"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "shop.service" not in done.stderr, done.stderr
        assert done.returncode == 0


def test_probes_of_kubernetes(site: Path) -> None:
    """The probes are those of a container, on paths of the application: live in an outage, and not ready."""
    yaml: Any = pytest.importorskip("yaml")
    [text] = blocks(DEPLOY, "yaml")
    probes = {name: probe["httpGet"] for name, probe in yaml.safe_load(text).items()}
    assert set(probes) == {"livenessProbe", "readinessProbe"}
    assert {(set(probe) == {"path", "port"}, probe["port"]) for probe in probes.values()} == {(True, 8000)}
    program = (site / "app.py").read_text().replace(
        "sessions = Session(app)", "app.config['SESSION_STORE'] = store\nsessions = Session(app)"
    )  # fmt: skip
    with closing(MemoryStore()) as inner:
        store = FailingStore(inner)
        names: dict[str, Any] = {"__name__": "replica", "store": store}
        exec(program, names)  # noqa: S102  # the page's own program
        client = names["app"].test_client()
        statuses = [[client.get(probe["path"]).status_code for probe in probes.values()]]
        store.fail()
        statuses += [[client.get(probe["path"]).status_code for probe in probes.values()]]
    assert statuses == [[200, 200], [200, 503]]


@pytest.mark.skipif(not IS_ROOT or shutil.which("unshare") is None, reason="only root makes a file system read-only")
def test_a_container_with_a_read_only_file_system(site: Path) -> None:
    """As with ``--read-only``: the default store cannot be used, and one in the volume that the page names can."""
    lines = [line for block in blocks(DEPLOY, "sh") for line in block.splitlines() if line.startswith("docker run")]
    assert all("--read-only" in line and "--env SESSION_STORE=" in line for line in lines)
    [variable] = [word for word in shlex.split(lines[1]) if word.startswith("SESSION_STORE=")]
    assert "--volume sessions:/data" in lines[1]
    volume = site / "data"
    volume.mkdir(mode=0o700)
    program = (
        "import os\nfrom flask import Flask, session\nfrom holdfast.flask import Session\n"
        "app = Flask('shop', instance_path='/srv/shop/instance')\n"
        "if 'SESSION_STORE' in os.environ:\n    app.config['SESSION_STORE'] = os.environ['SESSION_STORE']\n"
        "Session(app)\n"
        "app.add_url_rule('/', view_func=lambda: str(session.apply('visits', lambda n: n + 1, default=0)))\n"
        "browser = app.test_client()\nprint([browser.get('/').text for _ in range(2)])\n"
    )
    mounts = (
        f"mount --make-rprivate / && mount --bind {volume} {volume} && mount -o remount,bind,ro / && "
        'exec "$0" -B -c "$1"'
    )
    command = ["unshare", "--mount", "sh", "-c", mounts, sys.executable, program]
    environ = {name: value for name, value in os.environ.items() if name != "SESSION_STORE"}
    name, _, url = variable.partition("=")
    with_volume = {**environ, name: url.replace("/data", str(volume))}
    without, done = (
        subprocess.run(command, env=env, cwd=site, capture_output=True, text=True, check=False)
        for env in (environ, with_volume)
    )
    if "mount: " in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    assert done.stdout == "['1', '2']\n", done.stderr
    assert without.returncode == 1
    assert "/srv/shop/instance" in without.stderr


def nginx_with(text: str, folder: Path, nginx: str) -> list[str]:
    """Return the command of *nginx* in *folder* with *text* as its servers."""
    paths = "".join(f"{name}_temp_path temp;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = (
        f"user root; pid nginx.pid; error_log log; daemon off; events {{}} http {{ access_log off; {paths} {text} }}"
    )
    (folder / "nginx.conf").write_text(config)
    start = [nginx, "-p", f"{folder}/", "-e", "log", "-c", "nginx.conf"]
    subprocess.run([*start, "-t"], check=True, capture_output=True)
    return start


@contextmanager
def serving(server: BaseWSGIServer, app: Flask) -> Iterator[None]:
    """Let *server* serve *app* while the block runs."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["holdfast"].manager.store.close()


def test_nginx_passes_address_scheme_and_host(tmp_path: Path, require: Callable[[str], str]) -> None:
    """With the page's nginx and ``ProxyFix`` the application sees the client's address, https and the site's name."""
    nginx, openssl = require("nginx"), require("openssl")
    names: dict[str, Any] = {"__name__": "page"}
    [program] = blocks(PROXY, "python")
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), names)  # noqa: S102  # the page's own program
    app: Flask = names["app"]

    @app.get("/")
    def seen() -> str:
        session["seen"] = True
        return f"{request.remote_addr} {request.url}"

    key, certificate = tmp_path / "shop.key", tmp_path / "shop.pem"
    make = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=shop -keyout {key} -out {certificate}"
    subprocess.run(shlex.split(make), check=True, capture_output=True)
    [text] = blocks(PROXY, "nginx")
    port, server = free_port(), make_server("127.0.0.1", 0, app)
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/shop", str(tmp_path / "shop")),
        ("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
    ):
        assert old in text
        text = text.replace(old, new)
    with serving(server, app), running(nginx_with(text, tmp_path, nginx), tmp_path):
        curl = [require("curl"), "-ksi", "--retry", "9", "--retry-all-errors", "--resolve"]
        command = [*curl, f"shop.example.com:{port}:127.0.0.1", f"https://shop.example.com:{port}/"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert answer.endswith("127.0.0.1 https://shop.example.com/")
    assert "__Host-id=" in answer
    assert "Secure" in answer


@pytest.mark.parametrize("control", ["private", "no-store"])
def test_a_cache_of_nginx(control: str, tmp_path: Path, require: Callable[[str], str]) -> None:
    """A cache with a time of its own gives nobody another's page, but a copied cookie a page after the logout."""
    app, made = Flask("site", instance_path=str(tmp_path)), list[str]()
    app.config["SESSION_CACHE_CONTROL"] = control
    Session(app)

    def log_in_or_out(name: str | None) -> str:
        session.clear() if name is None else session.update(user_id=name)
        return "done"

    app.add_url_rule("/logout", view_func=log_in_or_out, defaults={"name": None})
    app.add_url_rule("/login/<name>", view_func=log_in_or_out)

    @app.get("/page")
    def page() -> str:
        made.append(f"for {session.get('user_id')}")
        return made[-1]

    port, server = free_port(), make_server("127.0.0.1", 0, app)
    cache = f"proxy_cache_path {tmp_path}/cache keys_zone=pages:1m use_temp_path=off;"
    keep = f"location / {{ proxy_pass http://127.0.0.1:{server.port}; proxy_cache pages; proxy_cache_valid any 10m; }}"
    text = f"{cache} server {{ listen 127.0.0.1:{port}; {keep} }}"
    url = f"http://127.0.0.1:{port}/page"
    with serving(server, app), running(nginx_with(text, tmp_path, require("nginx")), tmp_path):
        ada, bob = app.test_client(), app.test_client()
        answers = {"for ada": ada.get("/login/ada"), "for bob": bob.get("/login/bob")}
        cookies = {name: answer.headers["Set-Cookie"].partition(";")[0] for name, answer in answers.items()}
        cookies["for None"] = ""
        for expected, cookie in [*cookies.items()] * 2:
            assert get(url, Cookie=cookie) == expected
        ada.get("/logout")
        assert get(url, Cookie=cookies["for ada"]) == ("for ada" if control == "private" else "for None")
    assert len(made) == (3 if control == "private" else 7)
