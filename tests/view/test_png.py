"""The timeline as PNG."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from clew.errors import MissingExtraError
from clew.view.png import timeline_png
from clew.view.svg import timeline_svg
from tests.analyze.generated_runs import MS, RunLog, agent, calibration, interrupted

needs_plot = pytest.mark.needs_extra("plot")


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height as the file's first chunk has them."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@needs_plot
@pytest.mark.parametrize(
    "log", [agent(), calibration(), interrupted(), RunLog()], ids=["a", "c", "i", "empty"]
)
def test_the_picture_is_that_of_the_svg_twice_as_fine(log: RunLog, tmp_path: Path) -> None:
    trace = log.trace()
    timeline_png(trace, tmp_path / "t.png", width=800)
    svg = timeline_svg(trace, width=800)
    height = int(svg.split('height="')[1].split('"')[0])
    assert size_of(tmp_path / "t.png") == (1600, 2 * height)


@needs_plot
def test_failures_are_red_and_nodes_have_the_colours_of_the_svg(tmp_path: Path) -> None:
    from matplotlib import image

    timeline_png(agent().trace(), tmp_path / "t.png")
    pixels = image.imread(tmp_path / "t.png")
    found = {
        tuple(round(float(channel) * 255) for channel in pixel[:3])
        for pixel in pixels[::4, ::4].reshape(-1, 4)
    }
    svg = timeline_svg(agent().trace())
    for colour in ("#cc3311", "#eedd88", "#ffaabb"):
        assert f'fill="{colour}"' in svg
        assert tuple(bytes.fromhex(colour[1:])) in found


@needs_plot
@pytest.mark.parametrize("name", ["cost in $ and $", "$x^2", "検索 🎉", "a\x1b[31m\nb", "$\\frac$", "<&>"])
def test_any_name_is_text_and_never_a_formula_a_warning_or_an_error(name: str, tmp_path: Path) -> None:
    log = RunLog(name)
    log.span(name, 0, 90 * MS, error=(name, name))
    timeline_png(log.finish(100 * MS).trace(), tmp_path / "t.png")
    assert size_of(tmp_path / "t.png")[0] == 2400


@needs_plot
def test_a_directory_that_does_not_exist_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        timeline_png(agent().trace(), tmp_path / "nowhere" / "t.png")


@needs_plot
def test_no_display_and_no_global_state_of_matplotlib_is_touched(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom clew.model.trace import ExecutionTrace\n"
        "from clew.view.png import timeline_png\n"
        "trace = ExecutionTrace.from_json(Path(sys.argv[1]).read_bytes())\n"
        "assert 'matplotlib' not in sys.modules\ntimeline_png(trace, sys.argv[2])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    (tmp_path / "trace.json").write_bytes(agent().trace().to_json())
    command = [sys.executable, "-c", code, str(tmp_path / "trace.json"), str(tmp_path / "t.png")]
    subprocess.run(command, check=True)
    assert size_of(tmp_path / "t.png")[0] == 2400


@pytest.mark.wheel_only
def test_without_matplotlib_one_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        MissingExtraError, match=r"^matplotlib is not installed; get it with: pip install 'clew\[plot\]'$"
    ):
        timeline_png(agent().trace(), tmp_path / "t.png")
