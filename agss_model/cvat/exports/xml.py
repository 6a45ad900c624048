"""Reading "CVAT for video 1.1" and "CVAT for images 1.1", the XML that CVAT exports for tasks, jobs and projects.

Frames in the XML of a video are those of the source; they become frames of the task, as CVAT shows them. The file, or
the `annotations.xml` in the ZIP that was downloaded, is read as a stream, without document types or entities, and every
message names file and line.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from xml.parsers import expat

from agss_model.cvat.exports.images import ImageReader
from agss_model.cvat.exports.meta import TaskMeta
from agss_model.cvat.exports.tracks import TrackReader
from agss_model.cvat.records import VideoAnnotations
from agss_model.errors import AgssError, MediaError
from agss_model.files import refuse_pipe

MAX_BYTES = 4 << 30
MAX_DEPTH = 16
MAX_PIECE = 32 << 20
"""Bytes of one element with its attributes, which are in memory together; a ragged mask of 8K has some."""
_BLOCK = 1 << 20
NAME = "annotations.xml"
"""Of the file in a ZIP."""
_ITEMS = ("track", "image")


def read_cvat_xml(path: str | Path) -> list[VideoAnnotations]:
    """Read an export of one task or job, or of a project with several tasks.

    Masks and polygons are read; a polygon with `keyframe="0"` is interpolated; the copy with `outside="1"` that CVAT
    puts behind every single shape is ignored; boxes and other shapes are counted as problems. Identity is sorted out as
    `agss_model.cvat.identity` says. What "CVAT for images 1.1" cannot say is in `agss_model.cvat.exports.images`.

    Args:
        path: the XML file, or a ZIP with `annotations.xml` in it.

    Raises:
        MediaError: the file is missing, too large, no XML, cut short, of another format, or a shape or number in it is
            damaged; the message names file and line.
    """
    path = Path(path)
    refuse_pipe(path)
    try:
        reader = _XmlReader(path)
        with _opened(path) as file:
            while block := file.read(_BLOCK):
                reader.feed(block)
        return reader.finish()
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise MediaError(f"{path} is a damaged ZIP file ({error}); download it again") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The XML, unpacked on the way."""
    with ExitStack() as stack:
        file: IO[bytes]
        if path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
            size, file = path.stat().st_size, path.open("rb")
        else:
            archive = stack.enter_context(zipfile.ZipFile(path))
            if NAME not in archive.namelist():
                raise MediaError(f"{path} has no {NAME}; export as 'CVAT for video 1.1' or 'CVAT for images 1.1'")
            size, file = archive.getinfo(NAME).file_size, archive.open(NAME)
        stack.callback(file.close)
        if size > MAX_BYTES:
            raise MediaError(f"{path} has more than {MAX_BYTES >> 30} GiB; export the tasks one by one")
        yield file


class _XmlReader:
    """Walks through the file; what a place means depends on the elements around it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meta = TaskMeta()
        self.items: TrackReader | ImageReader | None = None
        self._stack: list[str] = []
        self._text: list[str] = []
        self._version = ""
        self._fed = 0
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.buffer_text = True
        self._parser = parser

    def feed(self, block: bytes, last: bool = False) -> None:
        try:
            self._parser.Parse(block, last)
            self._fed += len(block)
            if self._fed - self._parser.CurrentByteIndex > MAX_PIECE or sum(map(len, self._text)) > MAX_PIECE:
                raise self._wrong(f"holds an element of more than {MAX_PIECE >> 20} MiB, which no CVAT export does")
        except (LookupError, UnicodeError) as error:
            raise self._wrong("is in an encoding that cannot be read; export it again") from error
        except (ValueError, ArithmeticError) as error:
            raise self._wrong(f"cannot be read ({error}); export it again") from error
        except expat.ExpatError as error:
            what = "ends too early" if last else "is damaged or no XML"
            raise MediaError(
                f"{self.path}, line {error.lineno}: the file {what} ({expat.ErrorString(error.code)}); export it again"
            ) from error

    def finish(self) -> list[VideoAnnotations]:
        self.feed(b"", last=True)
        try:
            return self._items("track" if self.items is None else None).videos()
        except AgssError as error:
            raise self._explained(error) from error

    def _refuse(self, *_: object) -> None:
        raise self._wrong("declares a document type or entities, which no CVAT export does; it was not read on")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._stack.append(name)
        self._text = []
        if len(self._stack) > MAX_DEPTH:
            raise self._wrong(f"nests elements more than {MAX_DEPTH} deep; this is no CVAT export")
        if len(self._stack) == 1 and name != "annotations":
            raise self._wrong(f"is no CVAT export: it begins with <{name}>; export as 'CVAT for video 1.1'")
        try:
            self._open(name, attributes)
        except AgssError as error:
            raise self._explained(error) from error

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._stack) == 2 and name in _ITEMS:
            self._items(name, attributes).begin(attributes, self._parser.CurrentLineNumber)
        elif len(self._stack) == 3 and self._stack[1] in _ITEMS:
            self._items().shape(name, attributes)
        else:
            self.meta.open(tuple(self._stack))

    def _end(self, name: str) -> None:
        text = "".join(self._text).strip()
        try:
            if len(self._stack) == 2 and name in _ITEMS:
                self._items().end()
            elif self._stack == ["annotations", "version"]:
                self._check_version(text)
            else:
                self.meta.close(tuple(self._stack), text)
        except AgssError as error:
            raise self._explained(error) from error
        self._stack.pop()
        self._text = []

    def _characters(self, text: str) -> None:
        if len(self._stack) > 1 and self._stack[1] in ("meta", "version"):
            self._text.append(text)

    def _check_version(self, text: str) -> None:
        self._version = text
        if text != "1.1":
            raise MediaError(f"the format has version {text!r}; 1.1 can be read")

    def _items(self, kind: str | None = None, size: Mapping[str, str] | None = None) -> TrackReader | ImageReader:
        """What reads tracks or images; with the first of them the head of the file is complete."""
        if self.items is None:
            if not self._version:
                raise self._wrong("has no <version>1.1</version>; export as 'CVAT for video 1.1'")
            tasks = self.meta.tasks(size if kind == "image" else None)
            self.items = ImageReader(tasks) if kind == "image" else TrackReader(tasks)
        if kind is not None and isinstance(self.items, ImageReader) is not (kind == "image"):
            raise MediaError("tracks and images stand side by side; this is no CVAT export")
        return self.items

    def _explained(self, error: AgssError) -> MediaError:
        text = str(error)
        return error if text.startswith(f"{self.path}, line") and isinstance(error, MediaError) else self._wrong(text)

    def _wrong(self, what: str) -> MediaError:
        joint = " " if what.startswith(("is ", "has ", "holds ", "declares ", "nests ")) else ": "
        return MediaError(f"{self.path}, line {self._parser.CurrentLineNumber}{joint}{what}")
