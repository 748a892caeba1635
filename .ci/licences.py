#!/usr/bin/env python3
"""Checks every crate that we link: its licence, that nothing is linked twice, that nothing banned came along.

Asks `cargo metadata` and compiles nothing. Standard library only, Python 3.9 or later.
"""

import json
import re
import subprocess
import sys

# Licences whose terms an Apache-2.0 program in source and binary form can meet.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",  # data: the root certificates of webpki-root-certs
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

# Crates without a `license` field whose licence file somebody has read: name -> SPDX expression.
READ_BY_HAND = {}

# More than one version of these would be a second engine, a second file format or a second client.
SINGLE = ("tantivy", "ort", "rusqlite", "libsqlite3-sys", "reqwest", "rustls", "ring", "qdrant-edge")

# One TLS provider (ring, through rustls), one HTTP client of ours, no model downloader.
BANNED = {
    "openssl": "a second TLS provider",
    "openssl-sys": "a second TLS provider",
    "native-tls": "a second TLS provider",
    "aws-lc-rs": "a second TLS provider",
    "aws-lc-sys": "a second TLS provider",
    "boring": "a second TLS provider",
    "ureq": "a second HTTP client",
    "isahc": "a second HTTP client",
    "hf-hub": "models are fetched by our own code",
}

TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+:-]+)")


def is_allowed(expression):
    """Whether an SPDX licence expression can be met. AND binds closer than OR; `/` is an old way to write OR."""
    text = expression.replace("/", " OR ")
    tokens = TOKEN.findall(text)
    if not tokens or TOKEN.sub("", text).strip():
        raise ValueError(f"not a licence expression: {expression!r}")
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        token = peek()
        if token is None:
            raise ValueError(f"licence expression ends too early: {expression!r}")
        position += 1
        return token

    def alternatives():
        result = both()
        while peek() == "OR":
            take()
            result = both() or result  # `both` first: its tokens have to be read in any case
        return result

    def both():
        result = single()
        while peek() == "AND":
            take()
            result = single() and result
        return result

    def single():
        token = take()
        if token == "(":
            result = alternatives()
            if take() != ")":
                raise ValueError(f"unbalanced licence expression: {expression!r}")
            return result
        if token in (")", "AND", "OR", "WITH"):
            raise ValueError(f"licence expected before {token!r}: {expression!r}")
        if peek() == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in ALLOWED

    result = alternatives()
    if position != len(tokens):
        raise ValueError(f"left over in licence expression: {expression!r}")
    return result


def self_test():
    for good in (
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT / MPL-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR GPL-2.0-only) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR MIT",
        "MIT AND ISC OR GPL-3.0-only",
    ):
        assert is_allowed(good), good
    for bad in (
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT AND (GPL-3.0-only OR LGPL-2.1-only)",
        "GPL-3.0-only OR MIT AND AGPL-3.0-only",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "Apache-2.0 WITH Unknown-exception",
    ):
        assert not is_allowed(bad), bad
    for broken in ("", "MIT OR", "(MIT", "MIT Apache-2.0", "MIT & ISC"):
        try:
            is_allowed(broken)
        except ValueError:
            continue
        raise AssertionError(f"taken for a licence: {broken!r}")


def linked_packages():
    """The packages of all systems where they are on this machine, else those of this one."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline"]
    everywhere = subprocess.run(command, capture_output=True, text=True)
    if everywhere.returncode == 0:
        return json.loads(everywhere.stdout)["packages"], "all systems"
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    host = re.search(r"^host: (.+)$", version, re.M).group(1)
    here = subprocess.run(command + ["--filter-platform", host], capture_output=True, text=True)
    if here.returncode != 0:
        sys.exit(f"cargo metadata failed (`cargo fetch --locked` brings what is missing):\n{here.stderr}")
    return json.loads(here.stdout)["packages"], host


def faults_of(packages):
    versions = {}
    for package in packages:
        name, version = package["name"], package["version"]
        versions.setdefault(name, []).append(version)
        licence = package["license"] or READ_BY_HAND.get(name)
        try:
            if licence is None:
                yield f"{name} {version}: no licence stated; read {package['license_file']} and add it to READ_BY_HAND"
            elif not is_allowed(licence):
                yield f"{name} {version}: licence {licence} is not on the list"
        except ValueError as error:
            yield f"{name} {version}: {error}"
        if package["source"] is not None and not package["source"].startswith("registry+"):
            yield f"{name} {version}: comes from {package['source']}, not from the registry"
        if name in BANNED:
            yield f"{name} {version}: {BANNED[name]}"
    for name in SINGLE:
        if len(versions.get(name, [])) > 1:
            yield f"{name}: linked in versions {', '.join(sorted(versions[name]))}; one is enough"
    for name in READ_BY_HAND:
        if name not in versions:
            yield f"{name}: in READ_BY_HAND but not linked any more"


def main():
    self_test()
    packages, scope = linked_packages()
    faults = sorted(faults_of(packages))
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"licences: {len(packages)} packages ({scope}), all in order")


if __name__ == "__main__":
    main()
