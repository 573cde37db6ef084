"""Prints the licences of everything that these packages of the project contain, each text once, with the crates that it
is of: notices.py PACKAGE…
"""

import collections
import json
import pathlib
import subprocess
import sys

CARGO = ["--locked", "--format-version", "1", "--filter-platform"]
NAMES = ("license", "licence", "copying", "notice", "unlicense")


def output(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def linked(metadata):
    """The ids of the packages that are linked into ours, without ours."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    todo = [one for one in metadata["workspace_members"] if names[one] in sys.argv[1:]]
    found = set()
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            kinds = [kind["kind"] for kind in dependency["dep_kinds"]]
            if None in kinds and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    return found - set(metadata["workspace_members"])


def texts(folder):
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(NAMES))


host = output("rustc", "-vV").split("host: ")[1].split("\n")[0]
metadata = json.loads(output("cargo", "metadata", *CARGO, host))
ids = linked(metadata)
crates = sorted((one for one in metadata["packages"] if one["id"] in ids), key=lambda one: (one["name"], one["version"]))

users = collections.defaultdict(list)
print("incumbent contains these crates, under these licences:\n")
for crate in crates:
    name = f"{crate['name']} {crate['version']}"
    print(f"  {name}: {crate['license']}")
    for path in texts(pathlib.Path(crate["manifest_path"]).parent):
        users[path.read_text(errors="replace").strip()].append(name)
print("""
It also contains the standard library of Rust (MIT OR Apache-2.0) and SQLite, which is in the public domain.

The program of the tarball and of the image also contains the GNU C Library (LGPL-2.1-or-later, as in
https://www.gnu.org/licenses/old-licenses/lgpl-2.1.txt). To link it to another version of that library, run
packaging/build in the sources of incumbent.""")
for text, names in sorted(users.items(), key=lambda one: one[1]):
    print(f"\n{'-' * 80}\n{', '.join(dict.fromkeys(names))}\n\n{text}")
