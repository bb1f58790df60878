# SPDX-License-Identifier: Apache-2.0
"""How is the compiled kernel built? Cython and a C compiler if they are there; else the plain Python kernel runs."""

from Cython.Build import cythonize
from setuptools import Extension, setup

extensions = cythonize(
    [
        Extension(
            "ringback.kernel._compiled",
            ["src/ringback/kernel/_compiled.pyx"],
            extra_compile_args=["-O3"],
        )
    ],
    build_dir="build",
)
# Not before: cythonize would report an optional extension's own errors as missing compilers.
for extension in extensions:
    extension.optional = True

setup(ext_modules=extensions)
