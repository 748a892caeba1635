#!/usr/bin/env python3
"""Holds Cargo.lock against known advisories about Rust crates, without network and without compiling anything.

    .ci/advisories.py                  check, against .ci/advisories.tsv
    .ci/advisories.py --refresh FOLDER read a checkout of the RustSec advisory database and write that file anew
                                       (Python 3.11 or later)

The file holds facts only (which versions of which crate, by which advisory) of the RustSec advisory database, whose
content is public domain (CC0-1.0) or, where imported from GitHub, CC BY 4.0. Standard library only, Python 3.9 or later.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "advisories.tsv"
LOCK = HERE.parent / "Cargo.lock"

# Advisories that apply and that we live with, with the reason. One that no longer applies is an error here.
ACCEPTED = {
    "RUSTSEC-2026-0097": "rand 0.7 below qdrant-edge: unsound only with a logger that itself draws random numbers; ours does not",
}

# Not a fault by itself, but told at each run.
NOTES_ONLY = {"unmaintained", "notice"}


def version_key(text):
    """Orders versions as semver does; missing parts count as 0."""
    core, _, pre = text.split("+")[0].strip().partition("-")
    numbers = [int(part) for part in core.split(".")]
    numbers += [0] * (3 - len(numbers))
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")] if pre else []
    return (tuple(numbers), 0 if pre else 1, parts)


def next_breaking(text):
    """The first version that `^text` no longer takes."""
    numbers = [int(part) for part in text.split("-")[0].split(".")]
    for index, number in enumerate(numbers):
        if number > 0 or index == len(numbers) - 1:
            return ".".join(str(n) for n in numbers[:index] + [number + 1])
    raise AssertionError


def matches(version, requirement):
    """Whether a version meets all parts of a requirement such as `>= 1.2, < 2`. Without an operator it means `^`."""
    at = version_key(version)
    for part in requirement.split(","):
        operator, wanted = re.fullmatch(r"\s*(>=|<=|>|<|=|\^)?\s*([0-9][^\s]*)\s*", part).groups()
        bound = version_key(wanted)
        meets = {
            ">=": at >= bound,
            "<=": at <= bound,
            ">": at > bound,
            "<": at < bound,
            "=": at == bound,
        }.get(operator)
        if meets is None:
            meets = bound <= at < version_key(next_breaking(wanted))
        if not meets:
            return False
    return True


def self_test():
    assert matches("0.5.17", ">= 0.5.15") and not matches("0.5.14", ">= 0.5.15")
    assert matches("0.9.3", "< 0.10.0, >= 0.9.3") and not matches("0.10.0", "< 0.10.0, >= 0.9.3")
    assert matches("0.3.30", "^0.3.24") and not matches("0.4.0", "^0.3.24") and matches("1.9.0", "1.2")
    assert matches("2.0.0-rc.15", "< 2.0.0") and matches("2.0.0-rc.15", "> 2.0.0-rc.2") and matches("1.0", "=1.0.0")
    assert not matches("0.0.4", "^0.0.3") and matches("10.0.0", "> 9.9.9+x")


def locked():
    """Name and version of every package from the registry."""
    for block in LOCK.read_text(encoding="utf-8").split("[[package]]")[1:]:
        field = dict(re.findall(r'^(name|version|source) = "(.*)"$', block, re.M))
        if field.get("source", "").startswith("registry+"):
            yield field["name"], field["version"]


def check():
    versions = {}
    for name, version in locked():
        versions.setdefault(name, []).append(version)
    faults, notes, seen = [], [], set()
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        crate, advisory, kind, fixed = line.split("\t")
        for version in versions.get(crate, []):
            if any(matches(version, requirement) for requirement in fixed.split("|") if requirement):
                continue
            told = f"{crate} {version}: {advisory} ({kind})"
            seen.add(advisory)
            if kind in NOTES_ONLY:
                notes.append(told)
            elif advisory not in ACCEPTED:
                faults.append(f"{told}; not concerned: {fixed or 'no version'}")
    faults += [f"{advisory} is accepted here but concerns us no longer" for advisory in ACCEPTED if advisory not in seen]
    for note in notes:
        print(f"note: {note}")
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"advisories: {sum(map(len, versions.values()))} packages, {len(ACCEPTED)} accepted, nothing else known")


def refresh(folder):
    import tomllib

    git = ["git", "-C", folder]
    head = subprocess.run(git + ["log", "-1", "--format=%H of %cs"], capture_output=True, text=True, check=True).stdout
    names = subprocess.run(git + ["ls-tree", "-r", "--name-only", "HEAD", "crates"], capture_output=True, text=True, check=True)
    rows = []
    for name in names.stdout.splitlines():
        if not name.endswith(".md"):
            continue
        text = subprocess.run(git + ["show", f"HEAD:{name}"], capture_output=True, text=True, check=True).stdout
        data = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S).group(1))
        advisory, versions = data["advisory"], data.get("versions", {})
        if "withdrawn" in advisory:
            continue
        fixed = versions.get("patched", []) + versions.get("unaffected", [])
        for requirement in fixed:
            matches("1.0.0", requirement)  # fails here if it can't be read, rather than in a check
        kind = advisory.get("informational", "vulnerability")
        rows.append("\t".join((advisory["package"], advisory["id"], kind, "|".join(fixed))))
    header = [
        f"# RustSec advisory database, commit {head.strip()}; written by advisories.py --refresh, not by hand.",
        "# crate, advisory, kind, versions that are not concerned (patched or never affected)",
    ]
    LIST.write_text("\n".join(header + sorted(rows)) + "\n", encoding="utf-8")
    print(f"{len(rows)} advisories written")


if __name__ == "__main__":
    self_test()
    if sys.argv[1:2] == ["--refresh"] and len(sys.argv) == 3:
        refresh(sys.argv[2])
    elif len(sys.argv) == 1:
        check()
    else:
        sys.exit(__doc__)
