"""Set up this checkout: the Python environments, the sandbox's databases, Java, Spark's jars and classes, the dbt
manifest.

It runs on the machine's own Python before anything is installed, so it uses the standard library alone. Each
step leaves a stamp of what it was made from, and is skipped while that has not changed.

    python3 bin/install.py          what the platform needs
    python3 bin/install.py bench    and the peers that it is measured against, in an environment of their own
    python3 bin/install.py lock     write both lock files again
"""

# ruff: noqa: S603, S607 - it starts the machine's own installers.
from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maven import artifacts
from steps import (
    CHECKOUT,
    TOOLS,
    SetupError,
    apt_install,
    fingerprint,
    is_stamped,
    own_environment,
    run,
    step,
)

ENVIRONMENT = CHECKOUT / ".venv"
BENCH_ENVIRONMENT = CHECKOUT / ".venv-bench"
SNOWFLAKE_ENVIRONMENT = CHECKOUT / ".venv-snowflake"
LOCK = CHECKOUT / "requirements.lock"
SNOWFLAKE_LOCK = CHECKOUT / "sandbox" / "snowflake" / "requirements.lock"
PYPROJECT = CHECKOUT / "pyproject.toml"
UV = CHECKOUT / "bin" / "uv.txt"
POM = CHECKOUT / "pom.xml"
JARS = TOOLS / "jars"
# The sandbox's servers on Java, by their folders in `sandbox`.
JAVA_SERVERS = {"kafka": "the Kafka broker", "registry": "the schema registry", "dynamodb": "DynamoDB Local"}
DBT_PROJECT = CHECKOUT / "dbt_project"
# What Spark 4.0 runs on: it is built for 17 and 21, and Hadoop's login fails from 24 on.
JAVA_FIRST, JAVA_LAST = 17, 23


def use_fitting_python() -> None:
    """Go on under a Python that the platform supports, should the one that runs this not be it."""
    if (3, 11) <= sys.version_info < (3, 13):
        return
    for name in ("python3.12", "python3.11"):
        if found := shutil.which(name):
            os.execv(found, [found, "-E", "-s", *sys.argv])  # noqa: S606
    raise SetupError(
        f"Python 3.11 or 3.12 is needed, and this is {sys.version.split()[0]}; install one of them, "
        "or name it: make PYTHON=/path/to/python3.11 …"
    )


def index_settings(folder: Path) -> dict[str, str]:
    """What pip is told of its index, under uv's names: a company's mirror is often set for pip alone."""
    asked = [str(folder / "bin" / "python"), "-m", "pip", "config", "list"]
    listed = subprocess.run(asked, env=own_environment(), capture_output=True, text=True, check=False).stdout
    told = dict(re.findall(r"^[\w:-]+\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    names = {
        "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
        "cert": ("SSL_CERT_FILE",),
    }
    return {
        uv[0]: told[pip]
        for pip, uv in names.items()
        if pip in told and not any(name in os.environ for name in uv)
    }


def make_environment(folder: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        apt_install(
            [f"python3.{sys.version_info.minor}-venv"],
            f"the venv module of {sys.executable}",
            "install the package of your system that brings Python's venv and ensurepip",
        )
    run([sys.executable, "-I", "-m", "venv", "--clear", str(folder)], f"making {folder.name}")


def pip_install_uv(folder: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(UV)], "installing uv")


def uv(folder: Path, *arguments: str) -> None:
    told = index_settings(folder) | {"VIRTUAL_ENV": str(folder)}
    run([str(folder / "bin" / "uv"), "--quiet", *arguments], f"uv {arguments[0]} {arguments[1]}", told)


def python_packages(folder: Path, lock: Path) -> None:
    """Exactly what `lock` names. It is a requirements file and no uv.lock, since that would name a registry's
    host in every line, and a company's mirror would not be asked."""
    mark = fingerprint(sys.version, str(folder), files=[lock, UV, PYPROJECT, Path(__file__)])
    stamp = folder / "made-from"
    if is_stamped(stamp, mark):
        return
    with step(f"Python packages of {lock.relative_to(CHECKOUT)} into {folder.name} (at first, minutes)"):
        stamp.unlink(missing_ok=True)
        if not is_of_this_python(folder):
            make_environment(folder)
        pip_install_uv(folder)
        uv(folder, "pip", "sync", "--require-hashes", "--compile-bytecode", str(lock))
        if folder == ENVIRONMENT:
            # setuptools is in the lock, so nothing is fetched that the lock doesn't name.
            uv(folder, "pip", "install", "--no-deps", "--no-build-isolation", "--editable", str(CHECKOUT))
        stamp.write_text(mark)


def is_of_this_python(folder: Path) -> bool:
    configured = folder / "pyvenv.cfg"
    return configured.exists() and f"version = {sys.version.split()[0]}\n" in configured.read_text()


def write_lock() -> None:
    with step("requirements.lock of the platform, its benchmarks and its stand-in for Snowflake"):
        asked = ["pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"]
        uv(ENVIRONMENT, *asked, "--group", "dev", "pyproject.toml", "-o", "requirements.lock")
        for folder in ("benchmarks", "sandbox/snowflake"):
            uv(ENVIRONMENT, *asked, f"{folder}/requirements.in", "-o", f"{folder}/requirements.lock")


def java_program() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")


def java_version(program: str) -> int:
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(version[1]) if version else 0


def java() -> None:
    elsewhere = "install a Java 17 (OpenJDK, Temurin) and put it on the PATH or in JAVA_HOME"
    if java_program() is None and "JAVA_HOME" not in os.environ:
        apt_install([java_package()], "Java 17", elsewhere)
    program = java_program()
    if program is None:
        raise SetupError(f"JAVA_HOME holds no bin/java, or java is not on the PATH; {elsewhere}")
    mark = fingerprint(str(Path(program).resolve()), str(Path(program).stat().st_mtime_ns))
    stamp = TOOLS / "java"
    if is_stamped(stamp, mark):
        return
    version = java_version(program)
    if not JAVA_FIRST <= version <= JAVA_LAST:
        raise SetupError(
            f"{program} is Java {version}; Spark 4.0 needs {JAVA_FIRST} to {JAVA_LAST}: {elsewhere}"
        )
    stamp.write_text(mark)


def java_package() -> str:
    """Debian 12 has 17, Debian 13 has 21 and no 17."""
    for version in (17, 21):
        package = f"openjdk-{version}-jre-headless"
        if subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode == 0:
            return package
    return "openjdk-17-jre-headless"


def databases() -> None:
    """The database servers of the sandbox: real ones, started as private ones by whoever runs it."""
    if shutil.which("mariadbd") is None and not Path("/usr/sbin/mariadbd").exists():
        apt_install(
            ["mariadb-server-core"], "MariaDB", "install MariaDB 10.6 or later and put mariadbd on the PATH"
        )
    if shutil.which("initdb") is None and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        apt_install(["postgresql"], "PostgreSQL", "install PostgreSQL 14 or later and put initdb on the PATH")


def jars() -> None:
    """Spark's jars, and the sandbox's servers that run on Java."""
    artifacts(POM, JARS, "Spark's jars")
    for name, what in JAVA_SERVERS.items():
        artifacts(CHECKOUT / "sandbox" / name / "pom.xml", TOOLS / name, what)


def spark_classes() -> None:
    """The archive with which local Spark sessions start sooner; it fits one Java and one set of jars."""
    # The JVM refuses an archive when a jar has another time than it had.
    used = [*JARS.glob("*.jar"), *ENVIRONMENT.glob("lib/python3.*/site-packages/pyspark/jars/*.jar")]
    times = sorted(f"{jar.name} {jar.stat().st_mtime_ns}" for jar in used)
    made_by = CHECKOUT / "data_platform" / "silver" / "class_archive.py"
    mark = fingerprint(*times, files=[TOOLS / "java", made_by])
    stamp = TOOLS / "spark-classes"
    if (TOOLS / "spark-classes.jsa").exists() and is_stamped(stamp, mark):
        return
    with step("Spark's class archive, by a first small run"):
        run_module("data_platform.silver.class_archive", "a first run of Spark")
        stamp.write_text(mark)


def server_classes() -> None:
    """The archives with which the sandbox's servers on Java start sooner; each fits one Java and one set of jars."""
    jars = [jar for name in JAVA_SERVERS for jar in (TOOLS / name).rglob("*.jar")]
    times = sorted(f"{jar.name} {jar.stat().st_mtime_ns}" for jar in jars)
    made_by = [CHECKOUT / "sandbox" / "class_archives.py", CHECKOUT / "sandbox" / "java.py"]
    mark = fingerprint(*times, files=[TOOLS / "java", *made_by])
    stamp = TOOLS / "server-classes"
    if is_stamped(stamp, mark):
        return
    with step("class archives of the sandbox's servers, by a first start of each"):
        run_module("sandbox.class_archives", "a first start of the sandbox's servers")
        stamp.write_text(mark)


def dbt_manifest() -> None:
    """The dbt sources and the manifest that the definitions are made from."""
    stamp = TOOLS / "dbt-manifest"
    manifest = DBT_PROJECT / "target" / "manifest.json"
    if manifest.exists() and is_stamped(stamp, fingerprint(files=dbt_inputs())):
        return
    with step("dbt's manifest of dbt_project"):
        run_module("data_platform.gold.prepare", "reading the dbt project")
        # Only now, since the sources among its files were just written.
        stamp.write_text(fingerprint(files=dbt_inputs()))


def run_module(name: str, what: str) -> None:
    """What it writes is for whoever looks for the reason of a failure. The end of its output is waited for too: a
    JVM that it started writes on after it."""
    ended = subprocess.run(
        [str(ENVIRONMENT / "bin" / "python"), "-m", name],
        cwd=CHECKOUT, env=own_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise SetupError(
            f"{what} failed (exit code {ended.returncode}); it wrote last:\n{ended.stdout[-3000:]}"
        )


def dbt_inputs() -> list[Path]:
    platform = CHECKOUT / "data_platform"
    code = [*(platform / "sources").glob("*.py"), *(platform / "gold").glob("*.py")]
    models = [file for file in DBT_PROJECT.rglob("*") if file.suffix in (".sql", ".yml")]
    written_by_dbt = DBT_PROJECT / "target"
    kept = [file for file in models if not file.is_relative_to(written_by_dbt)]
    return [LOCK, *(platform / "declarations").glob("*.py"), *code, *kept]


@contextmanager
def alone() -> Iterator[None]:
    """Two `make` at once in one checkout: the second waits, and then finds everything done."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def main(wanted: str) -> None:
    use_fitting_python()
    with alone():
        python_packages(ENVIRONMENT, LOCK)
        if wanted == "lock":
            write_lock()
            return
        python_packages(SNOWFLAKE_ENVIRONMENT, SNOWFLAKE_LOCK)
        databases()
        java()
        jars()
        spark_classes()
        server_classes()
        dbt_manifest()
        if wanted == "bench":
            python_packages(BENCH_ENVIRONMENT, CHECKOUT / "benchmarks" / "requirements.lock")
            artifacts(CHECKOUT / "benchmarks" / "pom.xml", TOOLS / "spark-kafka", "Spark's reader of Kafka")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "platform")
    except SetupError as error:
        sys.exit(f"setup: {error}")
