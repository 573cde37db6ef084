"""How the wheel is built: by maturin, with the command beside the library.

A wheel has one extension module. The command is a program of its own, because the keeper that it starts must be one
too: it kills what the command runs even when the command is killed, and no interpreter may delay it. So it is built
first and put among the wheel's scripts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin

HERE = Path(__file__).parent


def build_wheel(directory: str, settings: dict[str, Any] | None = None, metadata: str | None = None) -> str:
    """Builds the wheel. `pip wheel --config-settings profile=dev` compiles for a test rather than for speed."""
    profile = (settings or {}).get("profile", "release")
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    command = ["cargo", "build", "--package", "incumbent-cli", "--bin", "incumbent", "--profile", profile]
    subprocess.run([*command, "--target-dir", str(target)], cwd=HERE, check=True)
    scripts = HERE / "incumbent.data" / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    built = target / ("debug" if profile == "dev" else profile) / "incumbent"
    subprocess.run(["strip", "-o", str(scripts / "incumbent"), str(built)], check=True)
    try:
        arguments = f"--profile {profile} --target-dir {target}"
        return str(maturin.build_wheel(directory, {"build-args": arguments}, metadata))
    finally:
        shutil.rmtree(scripts.parent)


get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
build_sdist = maturin.build_sdist
