# SPDX-License-Identifier: Apache-2.0
"""How is the compiled kernel built? With Cython and a C compiler if they are there; else plain Python serves.

Everything else about this package stands in pyproject.toml. Which kernel runs, `ringback --version` tells.
"""

from setuptools import Extension, setup

try:
    from Cython.Build import cythonize
except ImportError:
    cythonize = None

SOURCE = "src/ringback/kernel/_compiled.pyx"


def kernel() -> list[Extension]:
    """The extension; nothing where Cython is missing."""
    if cythonize is None:
        return []
    # -O3 makes vectors of plain loops. Generated C is not for reading: it goes where other waste goes.
    wanted = Extension("ringback.kernel._compiled", [SOURCE], extra_compile_args=["-O3"])
    (extension,) = cythonize([wanted], build_dir="build")
    extension.optional = True  # not before: cythonize makes a new Extension, and forgets this
    return [extension]


setup(ext_modules=kernel())
