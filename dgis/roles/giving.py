"""Wiring only: what the web door searches, gives out and shows: DICOMweb, pictures, WADO-URI."""

import sqlalchemy as sa
from fastapi import APIRouter

from dgis.configuration import Configuration
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Threads
from dgis.dicomweb.images import Images
from dgis.dicomweb.pages import Pages
from dgis.dicomweb.routes import routes as routes_of_dicomweb
from dgis.parts import scratch
from dgis.pictures import resources, uri
from dgis.pictures.desk import Desk
from dgis.rendering.renderer import Renderer
from dgis.roles.serving import Serving
from dgis.trail.recorder import Recorder
from dgis.web.logins import Logins


class Giving:
    """The parts, and the processes that draw pictures; `close` ends them."""

    def __init__(
        self,
        configuration: Configuration,
        engine: sa.Engine,
        sending: Serving,
        recorder: Recorder,
        logins: Logins,
    ) -> None:
        images = Images(
            sending.releases,
            sending.retriever,
            sending.shelf,
            sending.index,
            sending.transcoder,
            recorder,
            scratch(configuration),
        )
        self._threads = Threads()
        self._renderer = Renderer()
        self._door = WebDoor(images, logins, self._threads, Pages(), configuration.web.url)
        self._desk = Desk(images, self._renderer, engine)

    def routes(self) -> list[APIRouter]:
        """Return the routes."""
        return [
            routes_of_dicomweb(self._door),
            resources.routes(self._door, self._desk),
            uri.routes(self._door, self._desk),
        ]

    def close(self) -> None:
        """Begin nothing more, and end the processes."""
        self._threads.close()
        self._renderer.close()
