"""Imports every module of the package and prints how many there are."""

import importlib
import pkgutil

import lightly_marlin

found = pkgutil.walk_packages(lightly_marlin.__path__, "lightly_marlin.")
names = [module.name for module in found if not module.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names))
