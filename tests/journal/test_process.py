"""A process is its number, its start time and its boot: numbers are used again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from clew.journal import process as identity
from clew.journal.process import Process, is_alive, this_process

WAITING = "import sys; sys.stdin.read()"


def started(pid: int) -> str:
    """The start time by another way than Clew's: `ps` is not everywhere, so the last fields of /proc/PID/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


def test_this_process_is_alive() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert me.host == os.uname().nodename
    assert me.started == started(os.getpid())
    assert is_alive(me) is True


def test_a_process_is_dead_once_it_ended_also_while_nobody_waited_for_it() -> None:
    program = subprocess.Popen([sys.executable, "-c", WAITING], stdin=subprocess.PIPE)
    other = msgspec.structs.replace(this_process(), pid=program.pid, started=started(program.pid))
    assert is_alive(other) is True
    assert program.stdin is not None
    program.stdin.close()
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)  # it ended, and is a zombie
    assert Path(f"/proc/{program.pid}").exists()
    assert is_alive(other) is False
    program.wait()
    assert is_alive(other) is False


def test_another_process_with_the_same_number_is_not_the_one() -> None:
    me = this_process()
    assert me.started is not None
    assert is_alive(msgspec.structs.replace(me, started=str(int(me.started) + 1))) is False


def test_after_another_boot_no_process_of_the_last_one_is_alive() -> None:
    assert is_alive(msgspec.structs.replace(this_process(), boot="another")) is False


def test_of_another_machine_or_container_nothing_is_known() -> None:
    me = this_process()
    assert is_alive(msgspec.structs.replace(me, host="elsewhere")) is None
    assert is_alive(msgspec.structs.replace(me, namespace="pid:[1]")) is None


def test_where_the_system_does_not_tell_start_times_the_number_must_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    me = Process(pid=os.getpid(), host=os.uname().nodename)
    assert is_alive(me) is True
    assert is_alive(msgspec.structs.replace(me, pid=2**22 + 1)) is False
    monkeypatch.setattr(identity, "_started", lambda pid: None)
    assert this_process().started is None
    assert is_alive(this_process()) is True


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**70])
def test_a_number_that_no_process_can_have_raises_nothing(pid: int) -> None:
    me = this_process()
    for given in (msgspec.structs.replace(me, pid=pid), Process(pid=pid, host=me.host)):
        assert is_alive(given) is not True


def test_a_command_with_parentheses_and_spaces_in_its_name_is_understood(tmp_path: Path) -> None:
    tool = tmp_path / ") R 1 (x) 2"
    tool.symlink_to(sys.executable)
    program = subprocess.Popen([str(tool), "-c", WAITING], stdin=subprocess.PIPE)
    try:
        other = msgspec.structs.replace(this_process(), pid=program.pid, started=started(program.pid))
        assert is_alive(other) is True
    finally:
        program.communicate()


def test_a_forked_child_says_that_it_is_another_process() -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, msgspec.json.encode(this_process()))
        os._exit(0)
    os.waitpid(pid, 0)
    child = msgspec.json.decode(os.read(read, 10_000), type=Process)
    os.close(read)
    os.close(write)
    assert child.pid == pid
    assert child.started is not None
    assert is_alive(child) is False
