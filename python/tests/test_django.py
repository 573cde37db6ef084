"""Django: the cache with locks, and `manage.py lead`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from conftest import FAST, Child, Server

import incumbent
from incumbent._options import DURATIONS
from incumbent._program import path
from incumbent.django.cache import RedisCache

CACHE = """
    import sys
    from django.conf import settings
    settings.configure(CACHES={"default": {
        "BACKEND": "incumbent.django.cache.RedisCache",
        "LOCATION": sys.argv[1],
        "OPTIONS": {"incumbent": {"interval": 0.5, "stop_grace": 0.2}},
    }})
    from django.core.cache import cache
    def make():
        print("makes")
        sys.stdin.readline()
        return {"made": 1}
    print("ready")
    print(cache.locked_get_or_set("a-key-{that}-is-no-name", make))
    print(cache.locked_get_or_set("none", None), cache.get("none", 1))
    with cache.lock("order:42") as held:
        held.check()
    print("done")
"""


def test_the_cache_makes_a_value_once(shared_server: Server, child: Callable[..., Child]) -> None:
    first = child(CACHE, shared_server.redis_url)
    first.expect("makes")
    second = child(CACHE, shared_server.redis_url)
    second.expect("ready")
    first.go_on()
    for one in (first, second):
        assert "made" in one.line()
        assert one.line() == "None None"
        assert one.line() == "done"


@pytest.fixture
def project(tmp_path: Path, shared_server: Server) -> Path:
    (tmp_path / "settings.py").write_text(
        textwrap.dedent(f"""
            INSTALLED_APPS = ["incumbent.django", "shop"]
            INCUMBENT = {{"STORE": {shared_server.url!r}, "INTERVAL": 0.5, "STOP_GRACE": 0.2}}
        """)
    )
    commands = tmp_path / "shop" / "management" / "commands"
    commands.mkdir(parents=True)
    for folder in (tmp_path / "shop", commands.parent, commands):
        (folder / "__init__.py").touch()
    (commands / "work.py").write_text(
        textwrap.dedent("""
            import os, sys, time
            from django.core.management.base import BaseCommand
            class Command(BaseCommand):
                def add_arguments(self, parser):
                    parser.add_argument("--what")
                def handle(self, *args, what, **options):
                    print("works on", what, os.environ["INCUMBENT_FENCING_TOKEN"], os.getpid(), flush=True)
                    time.sleep(600)
        """)
    )
    (tmp_path / "manage.py").write_text(
        textwrap.dedent("""
            import sys
            from django.core.management import execute_from_command_line
            execute_from_command_line(sys.argv)
        """)
    )
    return tmp_path


LEAD = """
    import os, sys
    os.chdir(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.mark.parametrize("program", ["manage.py", "django"])
def test_a_command_runs_while_it_leads(
    program: str, project: Path, shared_server: Server, name: str, child: Callable[..., Child]
) -> None:
    words = ["manage.py", "lead"]
    if program == "django":
        words = ["-m", "django", "lead", f"--pythonpath={project}"]
    folder = project if program == "manage.py" else project.parent
    first = child(LEAD, str(folder), *words, name, "work", "--what", "bills")
    first.expect("works on bills")
    begun = first.seen[-1]
    token, pid = map(int, begun.split()[-2:])
    with pytest.raises(incumbent.Held):
        incumbent.Election(name, store=shared_server.url, **FAST).try_campaign()
    first.signal(signal.SIGKILL)
    with incumbent.lead(name, store=shared_server.url, **FAST) as leadership:
        assert leadership.fencing_token > token
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_password_of_the_settings_is_on_no_command_line(
    project: Path, server: Server, name: str, child: Callable[..., Child]
) -> None:
    with redis.Redis.from_url(server.redis_url) as client:
        client.config_set("requirepass", "a-secret")
    with (project / "settings.py").open("a") as settings:
        settings.write(f"INCUMBENT |= {{'STORE': {server.url!r}, 'PASSWORD': 'a-secret', 'USERNAME': None}}\n")
    env = {"INCUMBENT_STORE": "redis://elsewhere", "INCUMBENT_PASSWORD": "another"}
    leading = child(LEAD, str(project), "manage.py", "lead", name, "work", "--what", "bills", env=env)
    leading.expect("works on bills")
    for secret in ("a-secret", str(server.socket)):
        assert secret not in Path(f"/proc/{leading.process.pid}/cmdline").read_text()


def test_what_cannot_run_is_refused(project: Path, name: str, child: Callable[..., Child]) -> None:
    child(LEAD, str(project), "manage.py", "lead", name).expect("CommandError: give the command")
    with (project / "settings.py").open("a") as settings:
        settings.write("INCUMBENT = 'redis://db'\n")
    refused = child(LEAD, str(project), "manage.py", "lead", name, "work")
    refused.expect("CommandError: INCUMBENT must be a dict of options")


def test_the_options_that_are_durations_are_those_of_the_command() -> None:
    shown = subprocess.run([path(), "run", "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    flags = re.findall(r"--([a-z-]+) <DURATION>", shown)
    assert {flag.replace("-", "_") for flag in flags} == DURATIONS


def test_a_lock_of_the_cache_is_on_its_server(server: Server) -> None:
    with redis.Redis.from_url(server.redis_url) as client:
        client.config_set("requirepass", "secret")
    cache = RedisCache(f"{server.redis_url}?protocol=3", {"OPTIONS": {"password": "secret"}})
    with cache.lock("order:42") as held:
        held.check()
    with pytest.raises(incumbent.ConfigError, match="must be a dict of options"):
        RedisCache(server.redis_url, {"OPTIONS": {"incumbent": "redis://db"}})
