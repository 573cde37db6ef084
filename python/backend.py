"""How the wheel is built: by maturin, with the command beside the library.

A wheel has one extension module. The command is a program of its own, because the keeper that it starts must be one
too: it kills what the command runs even when the command is killed, and no interpreter may delay it. So it is built
first and put among the wheel's scripts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import maturin

HERE = Path(__file__).parent


@contextlib.contextmanager
def data() -> Iterator[Path]:
    """The folder for what the wheel has beside the package. maturin asks for it whatever it builds. It is among the
    sources, so one build at a time has it.
    """
    folder = HERE / "incumbent.data"
    with (HERE / "pyproject.toml").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        # One that was killed has left it.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def build_command(profile: str) -> Path:
    def cargo(*words: str) -> bytes:
        return subprocess.run(["cargo", *words], cwd=HERE, check=True, stdout=subprocess.PIPE).stdout

    cargo("build", "--locked", "--package", "incumbent-cli", "--bin", "incumbent", "--profile", profile)
    target = json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))["target_directory"]
    return Path(target, "debug" if profile == "dev" else profile, "incumbent")


def build_wheel(directory: str, settings: dict[str, Any] | None = None, metadata: str | None = None) -> str:
    """Builds the wheel. `pip wheel --config-settings profile=dev` compiles for a test rather than for speed,
    `data=PATH` is a folder that has the command already, as `scripts/incumbent`, and what else the wheel shall have beside
    the package, and `build-args=WORDS` are further ones for maturin.
    """
    settings = settings or {}
    profile = settings.get("profile", "release")
    with data() as folder:
        if "data" in settings:
            shutil.copytree(settings["data"], folder, dirs_exist_ok=True)
        else:
            (folder / "scripts").mkdir()
            subprocess.run(["strip", "-o", folder / "scripts" / "incumbent", build_command(profile)], check=True)
        arguments = f"--locked --profile {profile} {settings.get('build-args', '')}"
        return str(maturin.build_wheel(directory, {"build-args": arguments}, metadata))


def prepare_metadata_for_build_wheel(directory: str, settings: dict[str, Any] | None = None) -> str:
    """Without it, pip would compile to see the metadata."""
    with data():
        return str(maturin.prepare_metadata_for_build_wheel(directory))


def build_sdist(directory: str, settings: dict[str, Any] | None = None) -> str:
    with data():
        return str(maturin.build_sdist(directory, settings))


get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
