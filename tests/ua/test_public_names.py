# SPDX-License-Identifier: Apache-2.0
"""`from ringback import ...`: every public name is there, typed, and costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ringback


@pytest.mark.parametrize("name", sorted(ringback.PUBLIC))
def test_every_public_name_can_be_imported(name):
    assert getattr(ringback, name).__name__ == name
    assert name in dir(ringback)
    assert name in ringback.__all__


def test_type_checkers_see_the_same_names_in_the_same_modules():
    tree = ast.parse(Path(ringback.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == ringback.PUBLIC


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Fax'"):
        _ = ringback.Fax


def test_importing_the_package_imports_nothing_else():
    code = "import sys, ringback; print([name for name in sys.modules if name.startswith('ringback.')])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "['ringback.version']\n"
