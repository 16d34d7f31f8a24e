"""Builds the compiled hot path (src/native) into the wheel, where there is a compiler; without one Clew is pure Python."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "clew.record._hotpath"
SOURCE = "src/native/hotpath.c"


class CompiledHotPath(BuildHookInterface[Any]):
    """Compiles one optional module, and gives the wheel the tag of this platform where that worked."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the module into the package: of the checkout where it is installed from there."""
        self._folder = Path(tempfile.mkdtemp())
        built = self._compile()
        if version == "editable":
            suffix = sysconfig.get_config_var("EXT_SUFFIX")
            Path(self.root, f"src/clew/record/_hotpath{suffix}").unlink(missing_ok=True)
        if built is None:
            self.app.display_warning("clew: no compiled hot path; recording is pure Python here, and slower")
            return
        if version == "editable":
            # Never over the old one: programs that run have it mapped.
            new = Path(self.root, "src/clew/record", f"{built.name}.new")
            shutil.copy(built, new)
            new.replace(new.with_suffix(""))
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"][str(built)] = f"clew/record/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was built on the way."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _compile(self) -> Path | None:
        # It relies on the global interpreter lock, and on how CPython lays out a class's slots.
        if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
            return None
        from setuptools import Distribution, Extension

        module = Extension(MODULE, [str(Path(self.root, SOURCE))], optional=True)
        build = Distribution({"name": "clew", "ext_modules": [module]}).get_command_obj("build_ext")
        build.build_lib, build.build_temp = str(self._folder / "lib"), str(self._folder / "temp")
        build.ensure_finalized()
        build.run()
        return next(self._folder.glob("lib/clew/record/_hotpath*"), None)
