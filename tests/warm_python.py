"""A Python that has imported the large libraries, in which programs start at once.

Importing PyTorch, Lightning and kornia takes ten seconds of a processor; a copy of a
process that has them takes none. `start` leaves a stand-in for `python` whose programs
are such copies: each has its own arguments, environment, folder, standard streams and
exit status, and dies with the stand-in. Of this package, nothing is imported before.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading

LIBRARIES = (
    "torch",
    "pytorch_lightning",
    "kornia",
    "torchmetrics",
    "timm",
    "sklearn.linear_model",
    "scipy.ndimage",
    "matplotlib.pyplot",
    "pyarrow.parquet",
    "av",
)
STAND_IN = """#!/bin/sh
exec '{python}' -IS '{file}' '{address}' "$@"
"""


@contextlib.contextmanager
def start(folder):
    """Gives the path of a stand-in for `python`, which works inside the block."""
    address = folder / "socket"
    command = [sys.executable, __file__, "--serve", str(address)]
    # More threads than free cores wait for each other, and round differently.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, cwd=folder, env=environment) as server:
        try:
            assert server.stdout.readline() == b"ready\n"
            stand_in = folder / "python"
            places = {"file": __file__, "address": address}
            stand_in.write_text(STAND_IN.format(python=sys.executable, **places))
            stand_in.chmod(0o755)
            yield stand_in
        finally:
            server.kill()


def ask(address, arguments):
    """The stand-in: has a program run, and returns its exit status."""
    if arguments[0] != "-" and arguments[0].startswith("-"):
        os.execv(sys.executable, [sys.executable, *arguments])
    request = {
        "arguments": arguments,
        "folder": os.getcwd(),
        "group": os.getpgrp(),
        "environment": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"3"], [0, 1, 2])
        connection.sendall(json.dumps(request).encode() + b"\n")
        # A program that is killed says nothing.
        return int(connection.recv(8) or 128 + signal.SIGKILL)


def serve(address):
    """Copies this process for every program that is asked for."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        # Standard input ends when whoever started this process does.
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                answer(connection)
            connection.close()


def answer(connection):
    """Runs one program in this process, tells its exit status, and ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # The objects remember what the first streams were: pipes, files, terminals.
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), errors=errors)
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    with connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
    threading.Thread(target=die_with, args=(connection,), daemon=True).start()
    status = run(**request)
    connection.sendall(b"%d" % status)
    os._exit(status)


def die_with(connection):
    """Waits for the end of the stand-in."""
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def run(arguments, folder, group, environment):
    """Runs a program to its very end as Python would; returns the exit status."""
    import atexit
    import multiprocessing.process
    import runpy
    import traceback

    # Whoever kills the stand-in's group kills this process in the same moment.
    with contextlib.suppress(OSError):
        os.setpgid(0, group)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    multiprocessing.process.ORIGINAL_DIR = folder
    program = os.path.abspath(arguments[0])
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    first = "" if arguments[0] == "-" else os.path.dirname(program)
    sys.path[:1] = [first, *map(os.path.abspath, paths)]
    sys.argv = [program, *arguments[1:]]
    status = 0
    try:
        if arguments[0] == "-":
            exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if status == 1 and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
