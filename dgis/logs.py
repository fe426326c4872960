"""Where log lines go and what may never be in them."""

import logging
import sys

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Libraries whose own lines would carry what peers send: pynetdicom prints C-FIND identifiers (names) at
# INFO, pydicom prints element values in warnings, botocore prints request bodies at DEBUG, uvicorn prints
# paths and query strings.
_SILENCED = (
    "pynetdicom",
    "pydicom",
    "botocore",
    "boto3",
    "urllib3",
    "s3transfer",
    "sqlalchemy.engine",
    "apscheduler",
    "uvicorn.error",
    "uvicorn.access",
    "asyncio",
)


def configure(level: str, form: str, role: str) -> None:
    """Send structured log lines to standard error, as text for people or as JSON for collectors."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_exception_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    silence_libraries()


def silence_libraries() -> None:
    """Keep other libraries' log lines out: they may carry identifying values."""
    for name in _SILENCED:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)


def _without_exception_values(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace an exception by its type and place: its text may quote what a peer or a database said."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["at"] = _place(error)
    return event


def _place(error: BaseException) -> str:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}:{code.co_name}")
        trace = trace.tb_next
    return " > ".join(frames[-4:])
