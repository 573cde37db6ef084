"""``manage.py lead NAME COMMAND …`` runs a command of this project on exactly one host."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import conf
from django.core.management.base import BaseCommand, CommandError

from incumbent._options import DURATIONS, table
from incumbent._program import path
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping


#: The options that may contain a password.
_SECRETS = frozenset({"store", "password", "password_cmd"})


class Command(BaseCommand):  # type: ignore[misc]
    """It becomes ``incumbent run NAME -- manage.py COMMAND …``, so a leader that freezes or loses its store is killed."""

    help = (
        "Runs a command while this process leads the election NAME; elsewhere it stands by. INCUMBENT in the settings "
        "has the options of `incumbent run`, such as STORE."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """NAME, and the command with its arguments."""
        parser.add_argument("name", help="the name of the election")
        parser.add_argument("command", nargs=REMAINDER, help="the command, and its arguments")

    def handle(self, *args: Any, **options: Any) -> None:
        """Becomes the command `incumbent`."""
        if not options["command"]:
            raise CommandError("give the command that shall run, after the name of the election")
        first, *rest = options["command"]
        if options["pythonpath"]:
            rest = [f"--pythonpath={options['pythonpath']}", *rest]
        try:
            program = path()
            flags, variables = settings_of(table(getattr(conf.settings, "INCUMBENT", None), "INCUMBENT"))
        except ConfigError as error:
            raise CommandError(str(error)) from error
        run = [program, "run", options["name"], *flags, "--", sys.executable, *_this_program(), first, *rest]
        environment = dict(os.environ)
        if any("PASSWORD" in name for name in variables):
            # The password of the settings takes the place of any other.
            for name in ("PASSWORD", "PASSWORD_FILE", "PASSWORD_CMD"):
                environment.pop(f"INCUMBENT_{name}", None)
        os.execve(program, run, environment | variables)


def _this_program() -> list[str]:
    """What Python runs: ``manage.py``, or ``-m django``."""
    spec = sys.modules["__main__"].__spec__
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def settings_of(options: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The options of the settings: as those of the command, and as its variables where they may contain a password,
    since every user of a host can see command lines.

    >>> settings_of({"STORE": ["redis://a", "redis://b"], "PASSWORD": "secret", "FAILOVER": 3})
    (['--failover=3s'], {'INCUMBENT_STORE': 'redis://a redis://b', 'INCUMBENT_PASSWORD': 'secret'})
    >>> settings_of({"SEATS": 3, "RESTART": True, "STDIN": False, "USERNAME": None})
    (['--seats=3', '--restart'], {})
    >>> settings_of({"STORE": "sqlite:/srv/my app/elections.db"})
    (['--store=sqlite:/srv/my app/elections.db'], {})
    """
    flags: list[str] = []
    variables = {}
    for name, value in options.items():
        if value is None or value is False:
            continue
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        # Blanks separate addresses there. One that contains a blank is a path, and beside a path are only paths.
        is_path = name.lower() == "store" and any(" " in str(one) for one in values)
        if name.lower() in _SECRETS and not is_path:
            variables[f"INCUMBENT_{name.upper()}"] = " ".join(map(str, values))
        else:
            flags += [_flag(name.lower(), one) for one in values]
    return flags, variables


def _flag(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return flag
    if isinstance(value, timedelta):
        return f"{flag}={round(value.total_seconds() * 1000)}ms"
    unit = "s" if isinstance(value, (int, float)) and name in DURATIONS else ""
    return f"{flag}={value}{unit}"
