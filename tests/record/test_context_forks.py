"""A process that forks in the middle of its work: parent and child each write what is theirs, and nothing twice."""

from __future__ import annotations

import json

from clew.model.trace import ExecutionTrace
from tests.record.programs import check_sealed, parents, run_and_read
from tests.record.reading import home, lines_in, run_program, traces_in

FORKED = """
    import os, sys, clew
    def leaf(name):
        with clew.span(name, pid=os.getpid()):
            clew.event("worked", name=name)
    def numbers():
        yield 1
        yield 2
    numbers = clew.traced(numbers)
    with clew.run("outer"):
        held = numbers()
        next(held)
        with clew.span("before"):
            pass
        with clew.span("a") as a, clew.run("inner"), clew.span("b") as b:
            b.set(where="parent")
            pid = os.fork()
            if pid == 0:
                leaf("child in b")
                b.set(where="child")
            else:
                assert os.waitpid(pid, 0)[1] == 0
                leaf("parent in b")
        # the child goes on too, out of every block
        leaf("child after" if pid == 0 else "parent after")
        assert list(held) == [2]
        with clew.run("another"):
            leaf("child in another" if pid == 0 else "parent in another")
    if pid == 0:
        assert "TRACEPARENT" not in os.environ
        assert clew.span("outside") is clew.NOOP_SPAN
    sys.exit(0)
    """


def test_a_fork_in_the_middle_of_a_span_ends_nothing_twice() -> None:
    """The child leaves every block, and a generator, that the parent entered: their ends are the parent's."""
    done = run_program(FORKED)
    assert done.stdout == ""
    lines = [json.loads(line) for line in lines_in(home())]
    starts = [line["span_id"] for line in lines if line["event"] == "node_started"]
    ends = [
        line["span_id"]
        for line in lines
        if line["event"].startswith("node_") and line["event"] != "node_started"
    ]
    assert sorted(starts) == sorted(ends)
    assert len(set(starts)) == len(starts)
    assert len({(line["writer"], line["seq"]) for line in lines}) == len(lines)
    finished = [
        (line["event"], line["data"]["name"]) for line in lines if line["event"] == "workflow_completed"
    ]
    assert sorted(finished) == sorted(
        ("workflow_completed", name) for name in ("another", "another", "inner", "outer")
    )
    by_writer: dict[str, list[str]] = {}
    for line in lines:
        by_writer.setdefault(line["writer"], []).append(line.get("node_id", ""))
    assert len(by_writer) == 2
    assert any({"child in b", "child after"} <= set(nodes) for nodes in by_writer.values())


def test_the_place_of_a_forked_child_is_the_parents_also_outside_the_inner_blocks() -> None:
    run_program(FORKED)
    by_run: dict[str, ExecutionTrace] = {t.name or "": t for t in traces_in(home()).values()}
    inner, outer = by_run["inner"], by_run["outer"]
    assert parents(inner) == {"b": None, "child in b": "b", "parent in b": "b"}
    assert parents(outer) == {
        "numbers": None,
        "before": None,
        "a": None,
        "child after": None,
        "parent after": None,
    }
    (b,) = inner.executions("b")
    assert b.attributes == {"where": "parent"}
    assert {t.status for t in by_run.values()} == {"completed"}
    assert inner.parent_run_id == outer.run_id
    check_sealed()


def test_a_child_that_is_forked_before_the_first_run_has_a_run_of_its_own() -> None:
    _, traces = run_and_read(
        """
        import os, clew
        pid = os.fork()
        name = "child" if pid == 0 else "parent"
        with clew.run(name), clew.span(f"in {name}"):
            pass
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert {name: (t.status, t.depth, len(t.nodes)) for name, t in traces.items()} == {
        "child": ("completed", 0, 1),
        "parent": ("completed", 0, 1),
    }
    check_sealed()


def test_forks_of_forks_each_write_a_segment_of_their_own() -> None:
    _, traces = run_and_read(
        """
        import os, sys, clew
        with clew.run("r"), clew.span("root"):
            for level in range(3):
                pid = os.fork()
                with clew.span(f"level {level}", pid=os.getpid()):
                    pass
                if pid:
                    assert os.waitpid(pid, 0)[1] == 0
        """
    )
    (trace,) = traces.values()
    assert len(trace.writers) == 8
    levels = [n.node_id for n in trace.nodes if n.node_id != "root"]
    assert sorted(levels) == ["level 0"] * 2 + ["level 1"] * 4 + ["level 2"] * 8
    assert {n.status for n in trace.nodes} == {"completed"}
    assert trace.status == "completed"


def test_a_fork_while_other_threads_record_leaves_a_child_that_can_record() -> None:
    """Whatever lock a thread of the parent holds in that instant, the child must not wait for it."""
    said, traces = run_and_read(
        """
        import json, os, sys, threading, clew
        sys.setswitchinterval(1e-6)
        stop = threading.Event()
        counts = []
        def busy():
            n = 0
            while not stop.is_set():
                with clew.run("short"), clew.span("busy", text="x" * 50, password="y"):
                    n += 1
            counts.append(n)
        threads = [threading.Thread(target=busy) for _ in range(3)]
        with clew.run("r"):
            for thread in threads:
                thread.start()
            children = []
            for n in range(20):
                pid = os.fork()
                if pid == 0:
                    with clew.span("child", n=n, text="z" * 50), clew.run("of child"):
                        clew.event("worked")
                    os._exit(0)
                children.append(pid)
            codes = [os.waitpid(pid, 0)[1] for pid in children]
            stop.set()
            for thread in threads:
                thread.join()
        print(json.dumps([codes, sum(counts)]))
        """
    )
    codes, _ = said
    assert codes == [0] * 20
    children = traces["r"].executions("child")
    assert sorted(n.attributes["n"] for n in children) == list(range(20))
    assert {n.status for n in children} == {"completed"}
    assert len({n.writer for n in children}) == 20
