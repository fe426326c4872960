"""What becomes of a picture that cannot be made: whose fault it is, in words that name no content."""

from collections.abc import Iterator
from contextlib import contextmanager

from deid.elements import WalkError
from dgis.dicomweb.images import AWAY, not_now
from dgis.rendering.errors import NoFrameError
from dgis.transcode.errors import TranscodeError
from dgis.web.problems import Problem


@contextmanager
def shown() -> Iterator[None]:
    """Answer 404 for a frame that is not there, 406 for what has no picture, 503 for what is away."""
    try:
        yield
    except AWAY as error:
        raise not_now() from error
    except NoFrameError as error:
        raise Problem(404, "no_frame", str(error)) from None
    except TranscodeError as error:
        raise Problem(406, "no_picture", str(error)) from None
    except WalkError:
        raise Problem(406, "no_picture", "its bytes are no well-formed data set") from None
