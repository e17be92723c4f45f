"""What Maven fetches: the artifacts of a pom.xml, in a folder of their own below .tools.

Which repository they come from is left to Maven's own settings.
"""

# ruff: noqa: S603 - it starts the machine's own Maven.
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from steps import CHECKOUT, TOOLS, SetupError, apt_install, fingerprint, is_stamped, say, step


def artifacts(pom: Path, folder: Path, what: str) -> None:
    """All that `pom` names, in a folder that is made anew, so that nothing of an older pom stays behind."""
    mark = fingerprint(files=[pom])
    if is_stamped(folder / "made-from", mark):
        return
    if shutil.which("mvn") is None:
        apt_install(["maven"], "Maven", "install Maven 3.6 or later and put mvn on the PATH")
    named = pom.relative_to(CHECKOUT)
    with step(f"{what} of {named} into .tools/{folder.name} (fetched by Maven; at first, minutes)"):
        fresh = TOOLS / f"{folder.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        copy_dependencies(pom, fresh)
        unpack(fresh)
        (fresh / "made-from").write_text(mark)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)


def copy_dependencies(pom: Path, folder: Path) -> None:
    command = ["mvn", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    lines = []
    with subprocess.Popen(
        [*command, f"-DoutputDirectory={folder}"],
        cwd=TOOLS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as maven:  # fmt: skip
        for line in maven.stdout or ():
            lines.append(line.rstrip())
            if fetched := re.search(r"Downloaded from \S+ \S*/(\S+\.(?:jar|tar\.gz)) (\(.*\))", line):
                say(f"  {fetched[1]} {fetched[2]}")
    if maven.returncode:
        errors = [line for line in lines if "ERROR" in line][:8] or lines[-8:]
        raise SetupError(
            f"Maven could not get what {pom.relative_to(CHECKOUT)} names:\n  " + "\n  ".join(errors) + "\n"
            "Where the public repository can't be reached, name a mirror of it in ~/.m2/settings.xml"
        )


def unpack(folder: Path) -> None:
    """What came packed as a whole program."""
    for packed in folder.glob("*.tar.gz"):
        shutil.unpack_archive(packed, folder)
        packed.unlink()
