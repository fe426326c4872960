from collections.abc import Mapping

from deid import encode
from deid.memo import Done
from deid.pixel_decision import PixelDecision
from deid.profile import Option, Profile

_REMOVED, _METHOD, _METHOD_CODES, _DATES = 0x00120062, 0x00120063, 0x00120064, 0x00280303
_BURNED_IN = 0x00280301
_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
# PS3.16 CID 7050.
_BASIC = ("113100", "Basic Application Confidentiality Profile")
_CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")


def flag_elements(profile: Profile, decision: PixelDecision | None = None) -> Mapping[int, Done]:
    """Return the elements that say what was done to an instance (PS3.15 E.1.1, PS3.3 C.7.1.1, C.12.1.1.7).

    What earlier de-identifiers claimed is not carried over: it was said of other bytes. Clean Pixel Data, and
    with it the absence of burned in annotation, is claimed where a reviewer or a rule of the site had pixels
    blanked (PS3.15 E.3.1), and nowhere else: pixels that need cleaning are withheld.
    """
    options = set(profile.options)
    method = [f"DICOM PS3.15 {profile.edition} basic profile, DGIS"]
    if profile.coarse_times:
        # Dates with other times are modified ones: PS3.15 E.3.6 lets none of the full ones change.
        options = options - {Option.FULL_DATES} | {Option.MODIFIED_DATES}
        method.append("times of day cut down to the full hour")
    if decision is not None:
        method.append(decision.words)
    cleaned = decision is not None and decision.blanks
    chosen = sorted((option.code, option.meaning) for option in options)
    codes = [_BASIC, *([_CLEAN_PIXELS] if cleaned else ()), *chosen]
    dates = "REMOVED"
    if Option.MODIFIED_DATES in options:
        dates = "MODIFIED"
    elif Option.FULL_DATES in options:
        dates = "UNMODIFIED"
    burned_in = {_BURNED_IN: Done(encode.element(_BURNED_IN, "CS", b"NO"))} if cleaned else {}
    return {
        **burned_in,
        _REMOVED: Done(encode.element(_REMOVED, "CS", b"YES")),
        _METHOD: Done(encode.element(_METHOD, "LO", "\\".join(method).encode("ascii"))),
        _METHOD_CODES: Done(encode.sequence(_METHOD_CODES, (_code(*code) for code in codes))),
        _DATES: Done(encode.element(_DATES, "CS", dates.encode("ascii"))),
    }


def _code(value: str, meaning: str) -> bytes:
    return b"".join(
        (
            encode.element(_CODE_VALUE, "SH", value.encode("ascii")),
            encode.element(_SCHEME, "SH", b"DCM"),
            encode.element(_MEANING, "LO", meaning.encode("ascii")),
        )
    )
