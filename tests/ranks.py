"""Real processes that take the ranks of a launch, as torchrun starts them; they live on from test to test."""

import multiprocessing
import os
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import NamedTuple

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RUN_ID")


class Outcome(NamedTuple):
    """What a rank returned, or the error that it raised; and what it printed."""

    value: object
    error: BaseException | None
    out: str
    err: str


def serve(connection):
    """Do what a test asks for, as the rank that it names."""
    while True:
        variables, function, arguments, options = connection.recv()
        os.environ.update(variables)
        out, err = StringIO(), StringIO()
        value = error = None
        with redirect_stdout(out), redirect_stderr(err):
            try:
                value = function(*arguments, **options)
            except BaseException as raised:
                error = raised
        connection.send(Outcome(value, error, out.getvalue(), err.getvalue()))


class Workers:
    """Processes that wait for something to do."""

    def __init__(self):
        self._context = multiprocessing.get_context("forkserver")  # imports are made once
        self._context.set_forkserver_preload(["static_dynamic.measurement", "static_dynamic.program.measure"])
        self._idle = []

    def take(self):
        if self._idle:
            return self._idle.pop()
        here, there = self._context.Pipe()
        process = self._context.Process(target=serve, args=(there,), daemon=True)
        process.start()
        there.close()
        return process, here

    def start(self, count, function, *arguments, launch="1", only=None, **options):
        """Start the ranks of a launch, or some of them; `finish` waits for them."""
        started = []
        for rank in range(count) if only is None else only:
            variables = dict(zip(VARIABLES, (str(rank), str(count), str(rank), launch), strict=True))
            process, connection = self.take()
            connection.send((variables, function, arguments, options))
            started.append((process, connection))
        return started

    def finish(self, started):
        """The outcome of every rank; `None` for one that was killed."""
        found = []
        for process, connection in started:
            try:
                found.append(connection.recv())
                self._idle.append((process, connection))
            except EOFError:
                process.join()
                found.append(None)
        return found

    def launch(self, count, function, *arguments, **options):
        """The outcomes of the ranks of a launch."""
        return self.finish(self.start(count, function, *arguments, **options))

    def end(self):
        for process, _ in self._idle:
            process.kill()


@contextmanager
def workers():
    """Workers that end with the block."""
    pool = Workers()
    try:
        yield pool
    finally:
        pool.end()


def rank():
    return int(os.environ["RANK"])
