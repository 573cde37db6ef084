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
            settings = flags(table(getattr(conf.settings, "INCUMBENT", None), "INCUMBENT"))
        except ConfigError as error:
            raise CommandError(str(error)) from error
        run = [program, "run", options["name"], *settings, "--"]
        os.execv(program, [*run, sys.executable, *_this_program(), first, *rest])


def _this_program() -> list[str]:
    """What Python runs: ``manage.py``, or ``-m django``."""
    spec = sys.modules["__main__"].__spec__
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def flags(options: Mapping[str, Any]) -> list[str]:
    """The options of the settings as those of the command.

    >>> flags({"STORE": ["redis://a", "redis://b"], "FAILOVER": 3, "SEATS": 3, "RESTART": True})
    ['--store=redis://a', '--store=redis://b', '--failover=3s', '--seats=3', '--restart']
    """
    found = []
    for name, value in options.items():
        flag = f"--{name.lower().replace('_', '-')}"
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, bool):
                found += [flag] if one else []
            elif isinstance(one, timedelta):
                found.append(f"{flag}={round(one.total_seconds() * 1000)}ms")
            elif isinstance(one, (int, float)) and name.lower() in DURATIONS:
                found.append(f"{flag}={one}s")
            else:
                found.append(f"{flag}={one}")
    return found
