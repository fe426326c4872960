from collections.abc import Mapping

from deid import encode
from deid.memo import Done
from deid.profile import Option, Profile

_REMOVED, _METHOD, _METHOD_CODES, _DATES = 0x00120062, 0x00120063, 0x00120064, 0x00280303
_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
# PS3.16 CID 7050.
_BASIC = ("113100", "Basic Application Confidentiality Profile")


def flag_elements(profile: Profile) -> Mapping[int, Done]:
    """Return the elements that say what was done to an instance (PS3.15 E.1.1, PS3.3 C.7.1.1, C.12.1.1.7).

    What earlier de-identifiers claimed is not carried over: it was said of other bytes. Clean Pixel Data is
    never claimed, for pixels that need cleaning are withheld.
    """
    chosen = sorted(profile.options, key=lambda option: option.code)
    codes = [_BASIC, *((option.code, option.meaning) for option in chosen)]
    dates = "REMOVED"
    if profile.has(Option.MODIFIED_DATES):
        dates = "MODIFIED"
    elif profile.has(Option.FULL_DATES):
        dates = "UNMODIFIED"
    method = f"DICOM PS3.15 {profile.edition} basic profile, DGIS"
    return {
        _REMOVED: Done(encode.element(_REMOVED, "CS", b"YES")),
        _METHOD: Done(encode.element(_METHOD, "LO", method.encode("ascii"))),
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
