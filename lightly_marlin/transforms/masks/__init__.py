"""Masking strategies, one per file with its function, class, name and caption.

Importing this folder imports all its modules, and each registers its strategies; there
is no second list.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
