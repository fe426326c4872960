"""What is under deploy/: units, container file, compose file and examples, as far as a test can try them."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from dgis.settings import load
from tests.gateway import PROJECT
from tests.needs import require

DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
PACKAGES = ("catalog", "deid", "dgis", "replica", "storage_nodes")
EXPOSURE = 25  # of 100, as `systemd-analyze security` counts: what is "OK" begins at 50


def run(*command: object, code: int = 0, **options) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The units in a folder, with programs in them that are there."""
    require("systemd-analyze", "systemd")
    folder = tmp_path_factory.mktemp("units")
    for path in (DEPLOY / "systemd").iterdir():
        text = re.sub("/opt/dgis/venv/bin/dgis", "/bin/true", path.read_text())
        (folder / path.name.replace("@.", "@web.")).write_text(text)
    return folder


@pytest.mark.parametrize(
    "name", ["dgis.service", "dgis@web.service", "dgis-backup.service", "dgis-backup.timer"]
)
def test_systemd_takes_the_units(units, name):
    assert not run("systemd-analyze", "verify", units / name).strip()


@pytest.mark.parametrize("name", ["dgis.service", "dgis@web.service", "dgis-backup.service"])
def test_a_unit_may_do_little(units, name):
    run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", units / name)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_programs_of_a_unit_are_of_the_project(unit):
    starts = re.findall(r"^ExecStart(?:Pre)?=(\S+) (.*)$", unit.read_text(), re.MULTILINE)
    assert starts
    for program, arguments in starts:
        if program == "/opt/dgis/venv/bin/dgis":
            words = arguments.replace("%i", "web").split()
            run(sys.executable, "-m", "dgis", *[word for word in words[:2] if word[0] != "-"], "--help")
        else:
            assert (PROJECT / program.removeprefix("/opt/dgis/share/")).stat().st_mode & 0o111


def test_what_stops_a_gateway_leaves_it_time_and_files_enough():
    for name in ("dgis.service", "dgis@.service"):
        text = (DEPLOY / "systemd" / name).read_text()
        assert {
            "TimeoutStopSec=15",
            "Restart=on-failure",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
        } <= set(text.splitlines())
        assert int(re.search(r"^LimitNOFILE=(\d+)$", text, re.MULTILINE)[1]) >= 4096


def test_the_linter_has_nothing_to_say_of_the_container_file():
    assert not run(Path(sys.executable).with_name("hadolint"), CONTAINERFILE).strip()


def test_the_container_is_locked_and_runs_as_nobody_special():
    text = CONTAINERFILE.read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2
    assert not [base for base in bases if "." in base.split("/")[0] and "/" in base]
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER \d+", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    installs = re.findall(r"pip install ([^&\\\n]*)", text)
    assert installs
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((PROJECT / each).exists() for each in source.split())
    for name in ("run", "traces", "build"):
        locked = (PROJECT / "requirements" / f"{name}.txt").read_text()
        assert re.search(r"^\w\S+==\S+ \\\n    --hash=sha256:", locked, re.MULTILINE)


def test_a_wheel_holds_every_file_of_the_packages(tmp_path):
    run(Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", tmp_path, cwd=PROJECT)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = run("git", "ls-files", *PACKAGES, cwd=PROJECT).split()
    assert len(files) > 400
    assert not set(files) - held


def healthy():
    spec = importlib.util.spec_from_file_location("healthy", DEPLOY / "container" / "healthy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_container_is_healthy_while_its_door_answers(tmp_path):
    class Door(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_args):
            pass

    (tmp_path / "run").mkdir()
    with HTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "run" / "web.json").write_text(f'{{"web": "http://0.0.0.0:{server.server_port}"}}')
        assert healthy().main(tmp_path) == 0
        server.shutdown()
    assert healthy().main(tmp_path) == 1


def test_a_container_without_a_door_is_healthy_while_it_writes(tmp_path):
    figures = tmp_path / "run" / "figures"
    assert healthy().main(tmp_path) == 1
    figures.mkdir(parents=True)
    (figures / "worker-1.prom").write_text("")
    assert healthy().main(tmp_path) == 0
    os.utime(figures / "worker-1.prom", (1, 1))
    assert healthy().main(tmp_path) == 1


def test_the_compose_file_hangs_together():
    services = COMPOSE["services"]
    assert {"gateway", "database", "idp"} < services.keys()
    for name, service in services.items():
        image = service.get("image", "built")
        assert "." not in image.split(":")[0], f"{name}: no registry is named"
        assert image == "built" or ":" in image, f"{name}: a version is named"
        for each in service.get("secrets", ()):
            assert (each if isinstance(each, str) else each["source"]) in COMPOSE["secrets"]
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            there = (
                (DEPLOY / "compose" / source).exists() if source[0] == "." else source in COMPOSE["volumes"]
            )
            assert there, f"{name}: {source}"
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in services[other]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
        assert service["logging"]["options"]["max-size"]
    built = services["gateway"]["build"]
    assert (DEPLOY / "compose" / built["context"] / built["dockerfile"]).resolve() == CONTAINERFILE


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial") / "compose"
    shutil.copytree(DEPLOY / "compose", folder, ignore=shutil.ignore_patterns("secrets"))
    run("sh", folder / "prepare.sh")
    return folder


def test_what_the_compose_file_mounts_is_prepared_and_kept(prepared):
    files = [prepared / each["file"] for each in COMPOSE["secrets"].values()]
    before = [path.read_bytes() for path in files]
    assert all(before)
    assert (prepared / "secrets").stat().st_mode & 0o077 == 0
    run("sh", prepared / "prepare.sh")
    assert [path.read_bytes() for path in files] == before
    for name in ("gateway", "idp"):
        run("openssl", "verify", "-CAfile", prepared / "secrets/ca.pem", prepared / f"secrets/{name}.pem")


def test_the_gateway_of_the_compose_file_has_a_configuration(prepared, monkeypatch):
    monkeypatch.setenv("DGIS__CATALOG__URL_FILE", str(prepared / "secrets" / "catalog-url"))
    configuration = load(prepared / "gateway.toml")
    assert configuration.catalog.url.startswith("postgresql+psycopg://dgis:")
    secrets = {
        each if isinstance(each, str) else each["target"]
        for each in COMPOSE["services"]["gateway"]["secrets"]
    }
    text = (prepared / "gateway.toml").read_text()
    assert set(re.findall(r"/run/secrets/([\w-]+)", text)) <= secrets
    hosts = set(re.findall(r"https?://([\w-]+):", text)) - {"localhost"}
    assert hosts <= COMPOSE["services"].keys()


@pytest.mark.parametrize("example", sorted((DEPLOY / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_configurations(example):
    assert run(sys.executable, "-m", "dgis", "config", "check", "--config", example, cwd=PROJECT).startswith(
        "ok"
    )


def test_scripts_are_scripts():
    require("shellcheck", "shellcheck")
    scripts = sorted(DEPLOY.rglob("*.sh"))
    assert len(scripts) >= 4
    run("shellcheck", "--severity=warning", *scripts)


def test_no_file_names_a_registry():
    hosts = re.compile(
        r"\b(?:docker\.io|quay\.io|ghcr\.io|gcr\.io|pypi\.org|registry\.npmjs\.org|mcr\.microsoft\.com)\b"
    )
    found = [
        path
        for path in DEPLOY.rglob("*")
        if path.is_file() and hosts.search(path.read_text(errors="replace"))
    ]
    assert not found
