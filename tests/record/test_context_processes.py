"""The place in a run follows work into other processes. Each program here is real, and keeps a log of its own."""

from __future__ import annotations

from typing import Any

import pytest

from clew.model.trace import ExecutionTrace
from tests.record.programs import check_sealed, parents, run_and_read


def check_worker_nodes(trace: ExecutionTrace, said: dict[str, list[Any]]) -> None:
    """Each span of a worker says the process that the worker itself told, and was written by a writer of its own."""
    writers: dict[int, set[str | None]] = {}
    for node in trace.nodes:
        if node.node_id in said:
            pid, value = said[node.node_id]
            assert node.attributes["pid"] == pid
            assert node.attributes["value"] == value
            assert [event.event for event in node.events] == ["worked"]
            writers.setdefault(pid, set()).add(node.writer)
    assert all(len(found) == 1 for found in writers.values())
    assert len(set.union(*writers.values())) == len(writers)


POOLS = """
    import json, multiprocessing, os, sys, clew
    from concurrent.futures import ProcessPoolExecutor
    from tests.record.jobs import decorated, in_span
    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        said = {}
        with clew.run("r"):
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                with clew.span("a"):
                    jobs = {f"a{n}": pool.submit(in_span, f"a{n}", n) for n in range(4)}
                with clew.span("b"):
                    jobs |= {f"b{n}": pool.submit(in_span, f"b{n}", n) for n in range(4)}
                    assert list(pool.map(decorated, range(3))) == [0, 1, 2]
                said = {name: job.result() for name, job in jobs.items()}
        said["main"] = (os.getpid(), None)
        print(json.dumps(said))
    """


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_task_of_a_process_pool_is_a_child_of_where_it_was_submitted(method: str) -> None:
    said, traces = run_and_read(POOLS, method)
    (trace,) = traces.values()
    tasks = {name for name in said if name != "main"}
    found = parents(trace)
    assert {name: found[name] for name in tasks} == {name: name[0] for name in tasks}
    assert [found[n.node_id] for n in trace.nodes if n.node_id == "decorated"] == ["b"] * 3
    assert said["main"][0] not in {pid for name, (pid, _) in said.items() if name != "main"}
    check_worker_nodes(trace, said)
    check_sealed()
    assert trace.status == "completed"
    assert len([e for e in trace.boundaries if e.event == "workflow_completed"]) == 1


MULTIPROCESSING_POOLS = """
    import json, multiprocessing, os, sys, clew
    from multiprocessing.pool import ThreadPool
    from tests.record.jobs import decorated, in_span
    if __name__ == "__main__":
        made = ThreadPool(2) if sys.argv[1] == "threads" else multiprocessing.get_context(sys.argv[1]).Pool(2)
        said = {}
        with clew.run("r"):
            with made as pool:
                with clew.span("a"):
                    jobs = {f"a{n}": pool.apply_async(func=in_span, args=(f"a{n}", n)) for n in range(3)}
                with clew.span("b"):
                    said |= {f"b{n}": said for n, said in enumerate(pool.starmap(in_span, [(f"b{n}", n) for n in range(3)]))}
                    assert pool.map(decorated, range(2)) == [0, 1]
                with clew.span("c"):
                    assert list(pool.imap(decorated, range(2))) == [0, 1]
                    assert sorted(pool.imap_unordered(decorated, range(2), 2)) == [0, 1]
                    said["c0"] = pool.apply(in_span, ("c0", 0))
                said |= {name: job.get() for name, job in jobs.items()}
                pool.close()
                pool.join()
        print(json.dumps(said))
    """


@pytest.mark.parametrize("method", ["fork", "spawn", "threads"])
def test_each_task_of_a_multiprocessing_pool_is_a_child_of_where_it_was_submitted(method: str) -> None:
    """Also in a pool that was there before the run was begun."""
    said, traces = run_and_read(MULTIPROCESSING_POOLS, method)
    (trace,) = traces.values()
    found = parents(trace)
    assert {name: found[name] for name in said} == {name: name[0] for name in said}
    names = {node.span_id: node.node_id for node in trace.nodes}
    above = [names.get(n.parent_id or "") for n in trace.nodes if n.node_id == "decorated"]
    assert sorted(filter(None, above)) == ["b"] * 2 + ["c"] * 4
    check_worker_nodes(trace, said)
    assert trace.status == "completed"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_pool_from_before_the_run_works_in_it(method: str) -> None:
    said, traces = run_and_read(
        """
        import json, multiprocessing, sys, clew
        from concurrent.futures import ProcessPoolExecutor
        from tests.record.jobs import in_span, place
        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
                assert pool.submit(place).result() is None
                with clew.run("r"), clew.span("a"):
                    said = {"task": pool.submit(in_span, "task", 1).result()}
                assert pool.submit(place).result() is None
                pool.submit(in_span, "after", 2).result()
            print(json.dumps(said))
        """,
        method,
    )
    (trace,) = traces.values()
    assert parents(trace) == {"a": None, "task": "a"}
    check_worker_nodes(trace, said)
    check_sealed()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_is_a_child_of_where_it_was_started(method: str) -> None:
    said, traces = run_and_read(
        """
        import json, multiprocessing, os, sys, clew
        from tests.record.jobs import in_span
        class Worker(multiprocessing.get_context(sys.argv[1]).Process):
            def run(self):
                in_span("subclass", 2)
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            with clew.run("r"):
                with clew.span("a"):
                    process = context.Process(target=in_span, args=("target", 1), name="x")
                    process.start()
                with clew.span("b"):
                    if sys.argv[1] == "fork":  # a class of __main__ cannot be sent to a new process
                        worker = Worker()
                        worker.start()
                        worker.join()
                process.join()
                assert process.exitcode == 0
            print(json.dumps({"target": [process.pid, 1]}))
        """,
        method,
    )
    (trace,) = traces.values()
    expected = {"a": None, "b": None, "target": "a"} | ({"subclass": "b"} if method == "fork" else {})
    assert parents(trace) == expected
    check_worker_nodes(trace, said)


def test_a_worker_that_opens_a_run_has_it_nested_in_the_one_it_was_sent_from() -> None:
    said, traces = run_and_read(
        """
        import json, multiprocessing, clew
        from concurrent.futures import ProcessPoolExecutor
        from tests.record.jobs import in_run
        if __name__ == "__main__":
            with clew.run("outer") as outer, clew.span("a"), clew.run("middle") as middle:
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                    inner = pool.submit(in_run, "inner").result()
            print(json.dumps([outer.run_id, middle.run_id, inner]))
        """
    )
    outer, middle, inner = said
    assert {t.name: (t.run_id, t.parent_run_id, t.root_run_id, t.depth) for t in traces.values()} == {
        "outer": (outer, None, None, 0),
        "middle": (middle, outer, outer, 1),
        "inner": (inner, middle, outer, 2),
    }
    assert parents(traces["inner"]) == {"inside": None}


CHILD = "from tests.record.jobs import in_span; in_span('child', 1)"


@pytest.mark.parametrize(
    "call, parent",
    [
        ("subprocess.run([sys.executable, '-c', CHILD], check=True)", "a"),
        ("subprocess.run([sys.executable, '-c', CHILD], check=True, env=None)", "a"),
        ("subprocess.run([sys.executable, '-c', CHILD], check=True, env={**os.environ, 'X': '1'})", "a"),
        ("subprocess.check_output([sys.executable, '-c', CHILD], env=dict(os.environ))", "a"),
        ("subprocess.Popen([sys.executable, '-c', CHILD]).communicate()", "a"),
        ("subprocess.Popen([sys.executable, '-c', CHILD], -1, None, None, None, None, None, True, False, None, dict(os.environ)).wait()", None),
        ("os.system(f'{sys.executable} -c \"{CHILD}\"')", None),
        ("os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', CHILD])", None),
        ("asyncio.run(wait(asyncio.create_subprocess_exec(sys.executable, '-c', CHILD)))", "a"),
        ("asyncio.run(wait(asyncio.create_subprocess_shell(f'{sys.executable} -c \"{CHILD}\"')))", "a"),
    ],
)  # fmt: skip
def test_a_program_that_is_started_belongs_to_the_run(call: str, parent: str | None) -> None:
    """To the open span, where it is started through `subprocess`; where not, to the run."""
    said, traces = run_and_read(
        f"""
        import asyncio, json, os, subprocess, sys, clew
        CHILD = {CHILD!r}
        async def wait(starting):
            assert await (await starting).wait() == 0
        if __name__ == "__main__":
            with clew.run("r") as run, clew.span("a"):
                {call}
            print(json.dumps(run.run_id))
        """
    )
    (trace,) = traces.values()
    assert trace.run_id == said
    assert parents(trace) == {"a": None, "child": parent}
    assert len(trace.writers) == 2
    check_sealed()


def test_a_program_that_is_given_an_environment_of_its_own_gets_exactly_that() -> None:
    _, traces = run_and_read(
        """
        import os, subprocess, sys, clew
        with clew.run("r"), clew.span("a"):
            out = subprocess.check_output(
                [sys.executable, "-c", "import os; print(sorted(os.environ))"],
                env={"LC_ALL": "C"}, text=True)
            assert out.strip() == "['LC_ALL']", out
        """
    )
    (trace,) = traces.values()
    assert parents(trace) == {"a": None}


def test_a_grandchild_through_a_program_without_clew_belongs_to_the_run() -> None:
    _, traces = run_and_read(
        """
        import subprocess, sys, clew
        with clew.run("r"), clew.span("a"):
            subprocess.run(["sh", "-c", '"$0" -c "$1"', sys.executable, sys.argv[1]], check=True)
        """,
        CHILD,
    )
    (trace,) = traces.values()
    assert parents(trace) == {"a": None, "child": "a"}


def test_a_place_that_another_system_left_in_the_environment_is_not_taken_for_ours() -> None:
    _, traces = run_and_read(
        f"{CHILD}\nimport clew\nwith clew.run('r'): pass",
        TRACEPARENT="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        TRACESTATE="vendor=1",
    )
    assert {name: t.parent_run_id for name, t in traces.items()} == {"r": None}


@pytest.mark.parametrize(
    "header", ["", "00-xyz", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-x", "\u00e9"]
)
def test_a_broken_place_in_the_environment_is_no_place(header: str) -> None:
    _, traces = run_and_read(CHILD, TRACEPARENT=header, TRACESTATE="clew=a.b")
    assert traces == {}
