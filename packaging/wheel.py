"""Leads an election with the installed wheel, and has its command look: wheel.py VERSION STORE."""

import subprocess
import sys

import incumbent

COMMAND = [sys.executable, "-m", "incumbent"]
version, store = sys.argv[1:]
found = subprocess.run([*COMMAND, "--version"], check=True, capture_output=True, text=True).stdout.strip()
assert found == version, f"the wheel has the command {found}"
with incumbent.lead("demo", store=store) as leadership:
    leadership.check()
    status = subprocess.run([*COMMAND, "status", "demo", "--store", store], stdout=subprocess.DEVNULL)
    assert status.returncode == 0, "the command sees no leader"
