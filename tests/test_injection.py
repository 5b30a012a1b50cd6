"""No pickle, no path of code out of data, no statement put together from values."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import eda_django

LIBRARY = Path(eda_django.__file__).parent
# Whoever reads JSON, or a name of code, from anywhere but code needs none of these.
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
IMPORTERS = {"import_string", "import_attribute", "import_module", "autodiscover_modules"}
# Called with a literal or with what the code itself has declared.
IMPORTS = {
    ("subscription_checks.py", "import_module"),
    ("apps.py", "autodiscover_modules"),
    ("secure_pages.py", "import_module"),
}
# Ways to hand a text to the database, and what each text is made of, if it is no literal.
STATEMENTS = {"execute", "executemany", "RawSQL", "raw", "extra", "RunSQL", "execute_sql"}
KNOWN = {
    # Both parts are constants of the file.
    ("migrations/0002_autovacuum.py", "f'ALTER TABLE {table} {change}'"),
    # Constants of the file, one for each database.
    ("models/claiming.py", "sql"),
    ("models/delivery_insertion.py", "sql"),
    ("models/event_insertion.py", "sql"),
    ("models/outbox.py", "sql"),
    ("models/consumer_statements.py", "sql"),
    # The columns of the models, and as many placeholders as there are numbers.
    ("models/reading.py", "sql"),
    ("models/search.py", "sql"),
    ("models/windows.py", "_FIRST_SINCE"),
    # A constant of the file, as often as there are numbers to look at.
    ("models/windows.py", "sql"),
    # Constants of statistics.py and volumes.py, as often as there are names; names are parameters.
    ("models/raw.py", "sql"),
    # A constant, with the database's own name of its clock.
    ("models/outlook.py", "sql"),
    # The table's name out of the model; and Django's own statement, with a hint in it.
    ("models/by_key.py", "sql"),
    # A constant with as many placeholders as there are types.
    ("models/pruning.py", "sql"),
    # Django's own statement, passed on as it came, with its parameters.
    ("models/locking.py", "sql"),
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(LIBRARY.rglob("*.py")):
        yield path.relative_to(LIBRARY).as_posix(), ast.parse(path.read_text())


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def pickles(tree: ast.Module) -> list[str]:
    names = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [*(a.name for a in node.names), getattr(node, "module", "") or ""]
    ]
    return [name for name in names if name.split(".")[0] in FORBIDDEN_MODULES]


def paths_of_code(name: str, tree: ast.Module) -> list[str]:
    return [
        called
        for called, node in calls(tree)
        # re.compile() is not meant.
        if (called in BUILTINS and isinstance(node.func, ast.Name))
        or (called in IMPORTERS and (name, called) not in IMPORTS)
    ]


def composed(name: str, tree: ast.Module) -> list[str]:
    """Return the statements that are no literals, and not known."""
    texts = [
        node.args[0]
        for called, node in calls(tree)
        # A pipeline of Redis' is executed without arguments.
        if called in STATEMENTS and node.args
    ]
    return [
        ast.unparse(text)
        for text in texts
        if not isinstance(text, ast.Constant) and (name, ast.unparse(text)) not in KNOWN
    ]


def test_sources_are_found() -> None:
    assert len(list(sources())) > 40


def test_nothing_is_pickled() -> None:
    assert [(name, found) for name, tree in sources() if (found := pickles(tree))] == []


def test_no_name_of_code_is_taken_from_data() -> None:
    found = [(name, found) for name, tree in sources() if (found := paths_of_code(name, tree))]
    assert found == []


def test_statements_are_literals() -> None:
    """Values go beside a statement, as parameters, whoever writes it."""
    found = [(name, found) for name, tree in sources() if (found := composed(name, tree))]
    assert found == []


def test_no_statement_needs_its_session_for_longer_than_its_transaction() -> None:
    """NOTIFY has all commits wait for one lock, and poolers share sessions between transactions."""
    of_session = r"\b(NOTIFY|LISTEN|PG_NOTIFY)\b|_ADVISORY_|\bGET_LOCK\b"
    found = [
        (name, node.value)
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(of_session, node.value.upper())
    ]
    assert found == []


def test_every_known_statement_still_exists() -> None:
    seen = {
        (name, ast.unparse(node.args[0]))
        for name, tree in sources()
        for called, node in calls(tree)
        if called in STATEMENTS and node.args
    }
    assert seen >= KNOWN


@pytest.mark.parametrize(
    "source",
    [
        "cursor.execute(f'SELECT {name}')",
        "cursor.execute('SELECT %s' % name)",
        "cursor.execute('SELECT {}'.format(name))",
        "cursor.execute('SELECT ' + name)",
        "RawSQL(text, [])",
        "rows.extra({'a': b})",
    ],
)
def test_composed_statement_would_be_found(source: str) -> None:
    assert composed("x.py", ast.parse(source))


def test_literal_statement_with_parameters_would_not_be_found() -> None:
    assert not composed("x.py", ast.parse("cursor.execute('SELECT %s', [name]); pipe.execute()"))


@pytest.mark.parametrize("source", ["import pickle", "from pickle import loads", "import dill.x"])
def test_pickle_would_be_found(source: str) -> None:
    assert pickles(ast.parse(source))


@pytest.mark.parametrize("source", ["eval(x)", "import_module(row.path)", "utils.import_string(x)"])
def test_path_of_code_would_be_found(source: str) -> None:
    assert paths_of_code("x.py", ast.parse(source))
