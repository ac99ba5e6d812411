"""Masking strategies, one a file: its function, its class, its name and caption.

Every module of this folder is imported with the folder, and what it registers is a
strategy; there is no second list.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
