"""Makes a package small, quick to start, and one zip for four functions: trimmed, with bytecode.

The functions share one CodeUri, so `sam build` writes four equal folders that `sam deploy` would
zip one by one. The same sources give the same bytes: no times of this day, no paths of this
machine, so an unchanged package is not uploaded or deployed again.

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
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.local.trimming import trim

_CODE_URI = re.compile(r"^(?P<indent> +)CodeUri: (?P<folder>[A-Za-z0-9]+)$", re.MULTILINE)
_DATE = (2000, 1, 1, 0, 0, 0)  # zip files cannot hold 1970
ARCHIVE = "package.zip"


class PackagingError(Exception):
    """The build is not what we know how to finish."""


def finish(build: Path) -> Path:
    """Finish a build in place; give the zip that its functions share."""
    template = build / "template.yaml"
    text = template.read_text()
    folders = sorted({match["folder"] for match in _CODE_URI.finditer(text)})
    if not folders:
        raise PackagingError(f"{template} names no built function")
    kept, *others = (build / folder for folder in folders)
    for other in others:
        if other.exists():
            _require_equal(kept, other)
            shutil.rmtree(other)
    trim(kept)
    compile_folder(kept)
    archive = build / ARCHIVE
    pack(kept, archive)
    template.write_text(share(text, folders))
    return archive


def share(template: str, folders: Sequence[str]) -> str:
    """Point each function of a built template at the shared zip."""

    def pointed(match: re.Match[str]) -> str:
        own = match["folder"] in folders
        return f"{match['indent']}CodeUri: {ARCHIVE}" if own else match.group()

    return _CODE_URI.sub(pointed, template)


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder in a fixed order, with fixed times and the rights that Lambda wants."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _DATE)
            entry.create_system = 3  # Unix, so that the rights count
            entry.external_attr = (0o100755 if os.access(file, os.X_OK) else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, file.read_bytes())


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
        archive = finish(options.build)
    except PackagingError as error:
        sys.exit(f"packaging: {error}")
    print(f"package: {archive}, {archive.stat().st_size / 1e6:.0f} MB, for all functions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
