"""Prints as JSON status and errors of each recipe, given as JSON on stdin."""

import contextlib
import io
import json
import runpy
import sys

said = {}
for path in json.loads(input()):
    sys.argv, errors, status = [path], io.StringIO(), None
    try:
        with contextlib.redirect_stderr(errors):
            runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        status = end.code
    said[path] = [status, errors.getvalue()]
print(json.dumps(said))
