"""The code's own shape: imports point one way, and one module (beside what runs in Lambda) reads the environment."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PLATFORM = Path(__file__).resolve().parents[2] / "data_platform"
SANDBOX = PLATFORM.parent / "sandbox"
MODULES = sorted(PLATFORM.rglob("*.py"))

# What a layer may import of the platform beside itself; what is not listed imports everything.
DECLARED = {"declarations"}
BELOW = {
    "declarations": set(),
    "settings": set(),
    "sources": DECLARED,
    # Arrow's types for the declared ones are the lake's; no connector sees a table of it.
    "connectors": DECLARED | {"settings", "lake.schema"},
    "lake": DECLARED | {"settings"},
    "described": DECLARED | {"connectors.base", "lake"},
    "bronze": DECLARED | {"settings", "described", "connectors", "lake"},
    # The same loads, outside of Dagster's runs.
    "streaming": DECLARED | {"settings", "described", "connectors.base", "lake", "bronze"},
    # A joined table names the tables that it is made of; on EMR, a step is started by AWS's API.
    "silver": DECLARED | {"settings", "described", "lake", "sources", "connectors.aws"},
    # What is served to other databases is read from the lake.
    "gold": DECLARED
    | {"settings", "described", "lake", "connectors.aws", "connectors.base", "connectors.snowflake.login"},
    "checks": DECLARED | {"settings", "described", "lake"},
    "governance": DECLARED | {"settings", "described", "lake", "connectors.aws", "connectors.base"},
    "automation": DECLARED
    | {
        "settings",
        "described",
        "lake",
        "sources",
        "connectors.aws",
        "connectors.dynamodb",
        "connectors.kafka",
        "governance",
    },
    # They run in AWS, with nothing of ours beside them.
    "lambdas": set(),
}
# Commands of the set-up and of the command line run over all tables, as definitions.py does.
WIRING = {"definitions", "cli", "demo"}
SET_UP = {
    "silver.class_archive": {"bronze"},
    "gold.prepare": {"sources"},
    "gold.sources": {"sources", "silver"},
}
# These tell a library what it looks for in the environment, and take nothing from there.
TELLS_A_LIBRARY = {
    "lake/spark.py": "PySpark looks there for the Python of its workers",
    "gold/dbt.py": "profiles.yml and the sources look there for the lake and the warehouse",
    "cli.py": "Dagster looks there for its home",
    "demo.py": "Dagster looks there for its home",
}


def dotted(module: Path) -> str:
    return ".".join(module.relative_to(PLATFORM).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def imported(module: Path) -> set[str]:
    """The modules that it imports, at the top or in a function, but for those that only a type checker reads."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(module.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relative to itself"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def of_the_platform(module: Path) -> set[str]:
    return {
        name.removeprefix("data_platform.") for name in imported(module) if name.startswith("data_platform.")
    }


def within(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("module", MODULES, ids=dotted)
def test_imports_point_one_way(module):
    name = dotted(module)
    layer = name.split(".")[0]
    if layer in WIRING or not name:
        return
    assert layer in BELOW, f"say in this test what {layer} may import"
    allowed = BELOW[layer] | SET_UP.get(name, set()) | {layer}
    assert {each for each in of_the_platform(module) if not within(each, allowed)} == set()


@pytest.mark.parametrize("module", MODULES, ids=dotted)
def test_the_platform_never_imports_the_sandbox_or_the_tests(module):
    assert {name.split(".")[0] for name in imported(module)}.isdisjoint({"sandbox", "tests", "benchmarks"})


@pytest.mark.parametrize("module", sorted(SANDBOX.rglob("*.py")), ids=lambda module: module.stem)
def test_the_sandbox_takes_from_the_platform_only_where_its_state_is(module):
    assert of_the_platform(module) <= {"settings.home_folder"}


def test_what_layers_may_import_leads_round_in_no_circle():
    layers = {layer: {name.split(".")[0] for name in below} for layer, below in BELOW.items()}
    order = list(TopologicalSorter(layers).static_order())
    spine = ["declarations", "lake", "bronze"]
    assert sorted(spine, key=order.index) == spine


def environment_reads(module: Path) -> list[int]:
    """The lines that take something out of the environment; `os.environ` alone on the way in is not one."""
    tree = ast.parse(module.read_text())
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv"):
            use = parents[node]
            told = isinstance(use, ast.Attribute) and use.attr in ("setdefault", "update", "pop")
            stored = isinstance(use, ast.Subscript) and isinstance(use.ctx, ast.Store)
            if not (told or stored):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("module", MODULES, ids=dotted)
def test_settings_alone_reads_the_environment(module):
    name = module.relative_to(PLATFORM).as_posix()
    if name == "settings.py" or name.startswith("lambdas/"):
        return
    if name in TELLS_A_LIBRARY:
        assert "os.environ" in module.read_text(), f"{name} is no exception any more"
    else:
        assert "environ" not in {
            node.attr for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Attribute)
        }
    # dbt's environment is put back as it was, which has to be looked at.
    if name != "gold/dbt.py":
        assert environment_reads(module) == []


@pytest.mark.parametrize("module", MODULES, ids=dotted)
def test_modules_say_what_belongs_in_them(module):
    assert ast.get_docstring(ast.parse(module.read_text()))
