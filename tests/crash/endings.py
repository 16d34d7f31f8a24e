"""Programs that end in every way that there is. Run as a program: `endings.py NAME WITNESS`."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import clew
from tests.crash.witness import Witness, rounds, work

ROUNDS = 30


def _endless(witness: Witness, source: int) -> None:
    number = 0
    while True:
        work(witness, source, number)
        number += 1


def _daemons(witness: Witness) -> None:
    for source in (1, 2, 3):
        threading.Thread(target=_endless, args=(witness, source), daemon=True).start()


def until_stopped(witness: Witness) -> None:
    """Record with four threads until a signal ends it."""
    with clew.run("until_stopped"):
        _daemons(witness)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        _endless(witness, 0)


def os_exit(witness: Witness) -> None:
    with clew.run("os_exit"), clew.span("outer", source=9, number=0):
        rounds(witness.path, 0, ROUNDS)
        os._exit(7)


def exception(witness: Witness) -> None:
    with clew.run("exception"):
        rounds(witness.path, 0, ROUNDS)
        with clew.span("failing", source=9, number=0):
            witness.note("failing started", 9, 0)
            raise LookupError("this is how it ends")


def daemon_at_exit(witness: Witness) -> None:
    """The main thread leaves while daemon threads record: at exit they are stopped wherever they are."""
    with clew.run("daemon_at_exit"):
        _daemons(witness)
        rounds(witness.path, 0, ROUNDS)


def fork(witness: Witness) -> None:
    """Children that leave in every way, from the middle of open spans; the parent goes on."""
    with clew.run("fork"), clew.span("outer", source=9, number=0):
        witness.note("outer started", 9, 0)
        rounds(witness.path, 0, ROUNDS)
        for source in (1, 2, 3):
            pid = os.fork()
            if pid == 0:
                rounds(witness.path, source, ROUNDS)
                if source == 1:
                    os._exit(0)
                if source == 2:
                    sys.exit(0)
                return  # leaves the span and the run that its parent opened, and then the program
            os.waitpid(pid, 0)
        rounds(witness.path, 4, ROUNDS)
    witness.note("outer completed", 9, 0)


def fork_among_threads(witness: Witness) -> None:
    """Forks while other threads are in the middle of recording."""
    with clew.run("fork_among_threads"):
        threads = [threading.Thread(target=rounds, args=(witness.path, s, 400)) for s in (0, 1)]
        for thread in threads:
            thread.start()
        for source in range(2, 32):
            pid = os.fork()
            if pid == 0:
                rounds(witness.path, source, 3)
                os._exit(0)
            os.waitpid(pid, 0)
        for thread in threads:
            thread.join()


@clew.traced
def _counting(witness: Witness) -> Iterator[int]:
    for number in range(3):
        witness.note("counted", 9, number)
        yield number


def fork_in_a_generator(witness: Witness) -> None:
    """A traced generator that is not at its end belongs to the parent, also when the child throws it away."""
    with clew.run("fork_in_a_generator"):
        generator = _counting(witness)
        next(generator)
        pid = os.fork()
        if pid == 0:
            rounds(witness.path, 1, 3)
            del generator
            rounds(witness.path, 2, 3)
            sys.exit(0)
        os.waitpid(pid, 0)
        list(generator)
        rounds(witness.path, 0, 3)


def _processes(witness: Witness, method: str) -> None:
    context = multiprocessing.get_context(method)
    with clew.run(f"multiprocessing {method}"), clew.span("outer", source=9, number=0):
        witness.note("outer started", 9, 0)
        started = [context.Process(target=rounds, args=(witness.path, s, ROUNDS)) for s in range(4)]  # type: ignore[attr-defined]
        for process in started:
            process.start()
        for process in started:
            process.join()
    witness.note("outer completed", 9, 0)


def _pool(witness: Witness, pool: concurrent.futures.Executor) -> None:
    with clew.run("pool"), clew.span("outer", source=99, number=0), pool:
        witness.note("outer started", 99, 0)
        futures = [pool.submit(rounds, witness.path, source, 5) for source in range(24)]
        assert sorted(future.result() for future in futures) == list(range(24))
    witness.note("outer completed", 99, 0)


def processes_fork(witness: Witness) -> None:
    _processes(witness, "fork")


def processes_spawn(witness: Witness) -> None:
    _processes(witness, "spawn")


def pool_fork(witness: Witness) -> None:
    context = multiprocessing.get_context("fork")
    _pool(witness, concurrent.futures.ProcessPoolExecutor(3, mp_context=context))


def pool_spawn(witness: Witness) -> None:
    context = multiprocessing.get_context("spawn")
    _pool(witness, concurrent.futures.ProcessPoolExecutor(3, mp_context=context))


def pool_of_threads(witness: Witness) -> None:
    _pool(witness, concurrent.futures.ThreadPoolExecutor(4))


def workers_killed(witness: Witness) -> None:
    """A parent that kills its children while they record, as a pool does when it is terminated."""
    with clew.run("workers_killed"):
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=rounds, args=(witness.path, s, 10**9)) for s in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(0.2)
        for worker in workers:
            worker.terminate()
            worker.join()


PROGRAMS: dict[str, Callable[[Witness], None]] = {
    program.__name__: program
    for program in (
        until_stopped,
        os_exit,
        exception,
        daemon_at_exit,
        fork,
        fork_among_threads,
        fork_in_a_generator,
        processes_fork,
        processes_spawn,
        pool_fork,
        pool_spawn,
        pool_of_threads,
        workers_killed,
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](Witness(sys.argv[2]))
