"""Django: the cache with locks, and `manage.py lead`."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FAST, Child, Server

import incumbent

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
            import os, sys
            os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
            from django.core.management import execute_from_command_line
            execute_from_command_line(sys.argv)
        """)
    )
    return tmp_path


def test_a_command_runs_while_it_leads(
    project: Path, shared_server: Server, name: str, child: Callable[..., Child]
) -> None:
    code = """
        import os, sys
        os.chdir(sys.argv[1])
        os.execv(sys.executable, [sys.executable, "manage.py", "lead", sys.argv[2], "work", "--what", "bills"])
    """
    first = child(code, str(project), name)
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
