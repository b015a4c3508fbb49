"""Makes a package start faster: bytecode inside, and one folder for the four functions.

The functions share one CodeUri, so `sam build` writes four equal folders. Keeping the first alone
makes `sam deploy` zip and upload once. Bytecode is written so that the same sources give the same
bytes: without source times (unzipping changes those) and without this machine's paths.

    python -m infra.local.packaging .aws-sam/build
"""

import argparse
import compileall
import filecmp
import os
import py_compile
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_CODE_URI = re.compile(r"^(?P<indent> +)CodeUri: (?P<folder>[A-Za-z0-9]+)$", re.MULTILINE)
_EPOCH = 946684800  # 2000-01-01: zip files cannot hold 1970


class PackagingError(Exception):
    """The build is not what we know how to finish."""


def finish(build: Path) -> Path:
    """Finish a build in place; give the one folder that is left."""
    template = build / "template.yaml"
    text = template.read_text()
    folders = sorted({match["folder"] for match in _CODE_URI.finditer(text)} - {"functions"})
    if not folders:
        raise PackagingError(f"{template} names no built function")
    kept, *others = (build / folder for folder in folders)
    for other in others:
        if other.exists():
            _require_equal(kept, other)
            shutil.rmtree(other)
    template.write_text(share(text, kept.name))
    compile_folder(kept)
    return kept


def share(template: str, folder: str) -> str:
    """Point each function of a built template at one folder."""

    def pointed(match: re.Match[str]) -> str:
        return f"{match['indent']}CodeUri: {folder}"

    return _CODE_URI.sub(pointed, template)


def compile_folder(folder: Path) -> None:
    """Write bytecode that neither times nor places change."""
    compiled = compileall.compile_dir(
        folder,
        quiet=1,
        stripdir=str(folder),
        prependdir="/var/task",  # so tracebacks show where the code is on Lambda
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise PackagingError(f"some of {folder} does not compile")
    for file in folder.rglob("*"):
        os.utime(file, (_EPOCH, _EPOCH))


def _require_equal(left: Path, right: Path) -> None:
    different = next(_differences(filecmp.dircmp(left, right, ignore=["__pycache__"])), None)
    if different:
        raise PackagingError(f"{left.name} and {right.name} differ in {different}")


def _differences(compared: filecmp.dircmp[str]) -> Iterator[str]:
    yield from compared.left_only
    yield from compared.right_only
    yield from compared.diff_files
    for inner in compared.subdirs.values():
        yield from _differences(inner)


def main(argv: Sequence[str] | None = None) -> int:
    """Finish the build in the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.packaging", description=__doc__)
    parser.add_argument("build", type=Path)
    options = parser.parse_args(argv)
    try:
        kept = finish(options.build)
    except PackagingError as error:
        sys.exit(f"packaging: {error}")
    size = sum(file.stat().st_size for file in kept.rglob("*") if file.is_file())
    print(f"package: {size / 1e6:.0f} MB with bytecode, one for all functions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
