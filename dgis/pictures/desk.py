"""Pictures of what a caller may have: resolved, released and recorded as every retrieve is, then rendered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.release import Asker
from catalog.retrieve import InstanceRef
from catalog.twin import deidentified_uids
from deid.elements import WalkError
from dgis.dicomweb.images import AWAY, Images, Transfer, not_now
from dgis.dicomweb.named import Named
from dgis.pictures.failures import shown
from dgis.rendering.renderer import Picture, Renderer
from dgis.rendering.view import View
from dgis.retriever.outgoing import Sendable
from dgis.transcode.errors import TranscodeError
from dgis.web.problems import Problem

_TRIED = 8  # instances looked at for one that can be shown


@dataclass(frozen=True, slots=True)
class Desk:
    """Answers requests for pictures; any thread may ask.

    Args:
        images: finds, releases and opens instances.
        renderer: makes pictures of their frames.
        engine: where the de-identified form of an original is looked up.
    """

    images: Images
    renderer: Renderer
    engine: sa.Engine

    def deidentified(self, asker: Asker, named: Named, how: str) -> Transfer:
        """Resolve one instance to its de-identified form, whichever of the two its UIDs name.

        Raises:
            Problem: as `Images.retrieve`; 404 also where there is no de-identified form.
        """
        transfer = self.images.retrieve(asker, named, how)
        if not transfer.refs[0].original:
            return transfer
        transfer.end("the de-identified form is asked for")
        twin = self._twin(transfer.refs[0])
        if twin is None:
            raise Problem(404, "not_found", "there is no de-identified form of it", recorded=True)
        return self.images.retrieve(asker, Named(*twin), how)

    def picture(self, instance: Sendable, frame: int, view: View) -> Picture:
        """Render one frame.

        Raises:
            Problem: 404 where it has none of that number; 406 where its pixels cannot be shown; 503 where it
                cannot be had now.
        """
        with shown():
            return self.renderer.render(instance, frame, view)

    def size(self, instance: Sendable) -> tuple[int, int]:
        """Return rows and columns.

        Raises:
            Problem: as `picture`.
        """
        with shown():
            return self.renderer.size(instance)

    def frames(self, transfer: Transfer, numbers: list[int], view: View) -> Iterator[bytes]:
        """Yield the pictures of some frames of one instance.

        Raises:
            Problem: as `picture`.
        """
        for _ref, instance in transfer.each():
            for number in numbers:
                yield self.picture(instance, number, view).data

    def all(self, transfer: Transfer, view: View) -> Iterator[bytes]:
        """Yield the pictures of all frames of all instances; what has no picture is passed over.

        Raises:
            Problem: 406 where there was no picture at all; 503 where an instance cannot be had now.
        """
        given = False
        for _ref, instance in transfer.each():
            for picture in self._of(instance, view):
                given = True
                yield picture
        if not given:
            raise no_picture()

    def one(self, transfer: Transfer, view: View) -> bytes:
        """Return one picture that stands for all: from the middle of the first series that has one.

        Raises:
            Problem: 406 where none of those looked at can be shown; 503 where one cannot be had now.
        """
        pairs = list(zip(transfer.refs, transfer.instances, strict=True))
        for place in _from_the_middle(transfer.refs)[:_TRIED]:
            for picture in self._of(pairs[place][1], view):
                return picture
        raise no_picture()

    def _of(self, instance: Sendable, view: View) -> Iterator[bytes]:
        frame = frames = 1
        while frame <= frames:
            try:
                picture = self.renderer.render(instance, frame, view)
            except AWAY as error:
                raise not_now() from error
            except (TranscodeError, WalkError):
                return  # and the frames after it are not tried: each may cost as much
            frames = picture.frames
            frame += 1
            yield picture.data

    def _twin(self, ref: InstanceRef) -> tuple[str, str, str] | None:
        if ref.record_key is None or ref.position is None:
            return None
        with self.engine.connect() as connection:
            return deidentified_uids(connection, ref.record_key, ref.position)


def no_picture() -> Problem:
    """Return the answer where nothing can be shown."""
    return Problem(406, "no_picture", "there are no pixels here that can be shown")


def _from_the_middle(refs: Sequence[InstanceRef]) -> list[int]:
    """Return places in the order to look: of the first series from its middle outwards, then the others."""
    first = [place for place, ref in enumerate(refs) if ref.series_key == refs[0].series_key]
    middle = first[len(first) // 2]
    near = sorted(first, key=lambda place: abs(place - middle))[: _TRIED // 2]
    chosen = {*first}
    return [*near, *(place for place in range(len(refs)) if place not in chosen)]
