"""The docs against the project: what they name exists, and what a user has to know is named."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from data_platform.cli import commands
from data_platform.settings import CHECKOUT, Settings
from sandbox.__main__ import app as sandbox

DOCS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
README = DOCS[0].read_text()
OPERATIONS = CHECKOUT / "docs" / "operations.md"
SETTINGS = {name.upper() for name in Settings.model_fields}
# Those that begin like one of ours.
SETTING = re.compile(rf"\b(?:{'|'.join(sorted({name.split('_')[0] for name in SETTINGS}))})_[A-Z_]+\b")
PATH = re.compile(r"^[\w./-]+(?:/|\w\.(?:py|md|sql|ya?ml|xml|lock|toml|png))$")
# Read by Spark itself.
NOT_OURS = {"SPARK_LOCAL_IP"}
# The table that adding-a-table.md adds is not there.
EXAMPLE = "campaigns"

each_doc = pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)


def code(doc: Path) -> str:
    """All that is set as code, a piece per line."""
    fenced = r"```\w*\n(.*?)```"
    text = doc.read_text()
    return "\n".join([*re.findall(fenced, text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)])


def command_paths(command: Any, *before: str) -> Iterator[tuple[str, ...]]:
    """Every command of a command line, as its words."""
    within = getattr(command, "commands", None)
    if within is None:
        yield before
        return
    for name, inner in within.items():
        yield from command_paths(inner, *before, name)


def our_commands() -> set[tuple[str, ...]]:
    own = set(command_paths(typer.main.get_command(commands))) - {("sandbox",)}
    return own | set(command_paths(typer.main.get_command(sandbox), "sandbox"))


def anchors(doc: Path) -> set[str]:
    """The headings, as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", doc.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def messages() -> list[str]:
    """Every text of the code, with … for what is filled in."""
    texts = []
    for module in [
        *(CHECKOUT / "data_platform").rglob("*.py"),
        *(CHECKOUT / "sandbox").glob("*.py"),
        *(CHECKOUT / "bin").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(
                        str(getattr(part, "value", "…")) if isinstance(part, ast.Constant) else "…"
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


@each_doc
def test_every_make_target_that_the_docs_name_exists(doc: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", code(doc)))
    assert named <= targets


@each_doc
def test_every_command_that_the_docs_name_exists(doc: Path) -> None:
    known = our_commands()
    for said in re.findall(r"data-platform ((?:[a-z]+ ?)+)", code(doc)):
        words = tuple(said.split())
        assert any(words[: len(path)] == path for path in known), said


def test_every_command_is_in_the_readme() -> None:
    told = code(DOCS[0])
    for path in our_commands():
        assert re.search(rf"\b{path[-1]}\b", told), f"data-platform {' '.join(path)}"


@each_doc
def test_every_setting_that_the_docs_name_exists(doc: Path) -> None:
    assert set(SETTING.findall(code(doc))) <= SETTINGS | NOT_OURS


def test_every_setting_is_in_the_readme_or_with_its_source() -> None:
    told = README + (CHECKOUT / "docs" / "sources.md").read_text()
    assert {f"`{name}`" for name in SETTINGS} <= set(re.findall(r"`\w+`", told))


@each_doc
def test_every_file_that_the_docs_name_exists(doc: Path) -> None:
    named = {piece for piece in code(doc).splitlines() if PATH.match(piece) and EXAMPLE not in piece}
    # A module may be named as seen from the package.
    missing = [
        name
        for name in named
        if not any((root / name).exists() for root in (CHECKOUT, CHECKOUT / "data_platform"))
    ]
    assert missing == []


@each_doc
def test_every_link_between_the_docs_leads_somewhere(doc: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", doc.read_text()):
        name, _, anchor = target.partition("#")
        to = (doc.parent / name).resolve() if name else doc
        assert to.exists(), target
        assert not anchor or anchor in anchors(to), target


@pytest.mark.parametrize(("variable", "module"), [("BENCH", "benchmarks"), ("FAULTS", "tests/faults")])
def test_every_benchmark_and_group_of_faults_is_in_operations(variable: str, module: str) -> None:
    runs = set(
        re.findall(r'^    "([a-z-]+)":', (CHECKOUT / module / "__main__.py").read_text(), re.MULTILINE)
    )
    told = code(OPERATIONS).splitlines()
    assert runs <= {line.removeprefix(f"make {variable.lower()} {variable}=") for line in told}


def test_every_error_that_operations_explains_is_one_that_the_code_gives() -> None:
    told = OPERATIONS.read_text().split("## What each error means")[1]
    phrases = re.findall(
        r"`([^`]+)`", "\n".join(row.split("|")[1] for row in told.splitlines() if row.startswith("| `"))
    )
    given = messages()
    for phrase in phrases:
        parts = ".*".join(re.escape(part.strip()) for part in phrase.split("…"))
        assert any(re.search(parts, text, re.DOTALL) for text in given), phrase
    assert len(phrases) > 40
