"""A program that runs a project in children, kills them at random instants with SIGKILL, and goes on with each run.

Half of those that go on are killed as well, and gone on with.

Started by test_kill.py. Everything slow is imported once, before the first fork. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import openai  # noqa: F401 - so that no child has to

import clew.workflow.providers.openai_chat  # noqa: F401
from clew.journal.layout import find_home
from clew.store.store import Store
from tests.workflow.model_answers import Body, Says
from tests.workflow.model_servers import OpenAIServer
from tests.workflow.running import run_project


def answer(body: Body) -> Says:
    """Answer with what the question says, so that a run has the same outputs whenever it is asked."""
    question = body["messages"][-1]["content"]
    return Says(json.dumps({"value": len(question) % 7}), delay_s=0.002)


def child(project: Path, **options: Any) -> int:
    """Fork a child that runs the project and writes its outputs."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ran = run_project(project, {"n": 0}, **options)
        if ran.error is None:
            (find_home() / "outputs.json").write_text(json.dumps(ran.outputs))
            code = 0
        else:
            sys.stderr.write(f"{ran.error!r}\n")
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def paid_for(home: Path) -> list[str]:
    """Return the questions whose answers are in the log."""
    store = Store(home)
    found = []
    for row in store.runs():
        for node in store.trace(row.run_id).nodes:
            for event in node.events:
                data = event.values() if event.event == "model_answered" else {}
                if data and data["answer"].get("source") is None:
                    found.append(data["request"]["messages"][-1]["content"])
    return found


def question(body: Body) -> str:
    return str(body["messages"][-1]["content"])


def tell(entry: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()


def main(project: Path, home: Path, times: int, seed: int) -> NoReturn:
    chance = random.Random(seed)
    os.environ["CLEW_HOME"] = str(home)
    os.environ["OPENAI_API_KEY"] = "none"
    with OpenAIServer(answer) as server:
        os.environ["OPENAI_BASE_URL"] = server.url
        began = time.monotonic()
        assert ended(child(project)) == 0
        whole_s = time.monotonic() - began
        requests = server.count
        undisturbed = json.loads((home / "outputs.json").read_text())
        tell({"undisturbed": undisturbed, "requests": server.count, "seconds": whole_s})
        for _ in range(times):
            shutil.rmtree(home, ignore_errors=True)
            server.requests.clear()
            pid = child(project)
            if chance.random() < 0.2:
                time.sleep(chance.uniform(0, whole_s))
            else:  # most of the time goes into reading the project, so aim at what comes then
                server.wait_for(chance.randrange(1, requests + 1))
                time.sleep(chance.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            killed = code = ended(pid)
            rows = [row for row in Store(home).runs() if row.parent_run_id is None]
            resumed = None
            recorded: list[str] = []
            paid_twice: list[str] = []
            while rows and code != 0:
                recorded, before = paid_for(home), server.count
                pid = child(project, resume=rows[0].run_id)
                is_last = chance.random() < 0.5
                if not is_last:
                    time.sleep(chance.uniform(0, whole_s))
                    os.kill(pid, signal.SIGKILL)
                resumed = code = ended(pid)
                paid_twice += set(recorded) & {question(body) for body in server.requests[before:]}
                if is_last:
                    break
                rows = [row for row in Store(home).runs() if row.parent_run_id is None]
            outputs = home / "outputs.json"
            told = {
                "killed": killed != 0,
                "resumed": resumed,
                "outputs": json.loads(outputs.read_text()) if outputs.exists() else None,
                "recorded": len(recorded),
                "paid_twice": paid_twice,
                "asked": server.count,
            }
            tell(told)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
