"""``manage.py lead NAME COMMAND …`` runs a command of this project on exactly one host."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import conf
from django.core.management.base import BaseCommand

from incumbent._program import path

if TYPE_CHECKING:
    from argparse import ArgumentParser


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
        program = path()
        command = [program, "run", options["name"], *flags(getattr(conf.settings, "INCUMBENT", {}))]
        os.execv(program, [*command, "--", sys.executable, sys.argv[0], *options["command"]])


def flags(options: dict[str, Any]) -> list[str]:
    """The options of the settings as those of the command.

    >>> flags({"STORE": ["redis://a", "redis://b"], "FAILOVER": 3, "RESTART": True})
    ['--store=redis://a', '--store=redis://b', '--failover=3s', '--restart']
    """
    found = []
    for name, value in options.items():
        flag = f"--{name.lower().replace('_', '-')}"
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, bool):
                found += [flag] if one else []
            elif isinstance(one, timedelta):
                found.append(f"{flag}={round(one.total_seconds() * 1000)}ms")
            elif isinstance(one, (int, float)) and name.upper() != "STALL_POLLS":
                found.append(f"{flag}={one}s")
            else:
                found.append(f"{flag}={one}")
    return found
