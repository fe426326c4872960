"""How a header is written: as DICOM JSON, or as XML. One walk serves both (`dgis.dicomweb.described`)."""

import base64
from collections.abc import Iterable, Sequence
from typing import Protocol

from pydicom.datadict import keyword_for_tag

from dgis.dicomweb import json_model, xml_model
from dgis.dicomweb.values import Value


class Form(Protocol):
    """Writes attributes, and puts those of one level together."""

    def plain(self, tag: int, vr: str, values: Sequence[Value], creator: str) -> str:
        """Write an attribute with values."""

    def binary(self, tag: int, vr: str, raw: bytes, creator: str) -> str:
        """Write an attribute with a short binary value."""

    def bulk(self, tag: int, vr: str, uri: str, creator: str) -> str:
        """Write an attribute whose value is elsewhere."""

    def sequence(self, tag: int, items: Iterable[str], creator: str) -> str:
        """Write a sequence of items, each put together by `level`."""

    def level(self, attributes: Iterable[str]) -> str:
        """Put the attributes of an item together."""

    def document(self, attributes: Iterable[str]) -> bytes:
        """Put the attributes of an instance together."""


class JsonForm:
    """PS3.18 F.2."""

    def plain(self, tag: int, vr: str, values: Sequence[Value], creator: str) -> str:  # noqa: ARG002 (XML's)
        """Write an attribute with values."""
        if not values:
            return f'"{tag:08X}":{{"vr":"{vr}"}}'
        written = json_model.writer(vr)(values).decode()
        return f'"{tag:08X}":{{"vr":"{vr}","Value":[{written}]}}'

    def binary(self, tag: int, vr: str, raw: bytes, creator: str) -> str:  # noqa: ARG002 (XML's)
        """Write an attribute with a short binary value (F.2.7)."""
        if not raw:
            return f'"{tag:08X}":{{"vr":"{vr}"}}'
        return f'"{tag:08X}":{{"vr":"{vr}","InlineBinary":"{base64.b64encode(raw).decode()}"}}'

    def bulk(self, tag: int, vr: str, uri: str, creator: str) -> str:  # noqa: ARG002 (XML's)
        """Write an attribute whose value is elsewhere (F.2.6)."""
        return f'"{tag:08X}":{{"vr":"{vr}","BulkDataURI":{json_model.quoted(uri)}}}'

    def sequence(self, tag: int, items: Iterable[str], creator: str) -> str:  # noqa: ARG002 (XML's)
        """Write a sequence."""
        inner = ",".join(items)
        return f'"{tag:08X}":{{"vr":"SQ","Value":[{inner}]}}' if inner else f'"{tag:08X}":{{"vr":"SQ"}}'

    def level(self, attributes: Iterable[str]) -> str:
        """Put the attributes of an item together."""
        return "{" + ",".join(attributes) + "}"

    def document(self, attributes: Iterable[str]) -> bytes:
        """Put the attributes of an instance together."""
        return self.level(attributes).encode("utf-8", "replace")


class XmlForm:
    """PS3.19 A.1."""

    def plain(self, tag: int, vr: str, values: Sequence[Value], creator: str) -> str:
        """Write an attribute with values."""
        return xml_model.attribute(tag, vr, keyword_for_tag(tag), map(str, values), creator)

    def binary(self, tag: int, vr: str, raw: bytes, creator: str) -> str:
        """Write an attribute with a short binary value."""
        inner = xml_model.inline_binary(base64.b64encode(raw).decode()) if raw else ""
        return xml_model.element(tag, vr, keyword_for_tag(tag), inner, creator)

    def bulk(self, tag: int, vr: str, uri: str, creator: str) -> str:
        """Write an attribute whose value is elsewhere."""
        return xml_model.element(tag, vr, keyword_for_tag(tag), xml_model.bulk_data(uri), creator)

    def sequence(self, tag: int, items: Iterable[str], creator: str) -> str:
        """Write a sequence."""
        inner = "".join(xml_model.item(number, each) for number, each in enumerate(items, 1))
        return xml_model.element(tag, "SQ", keyword_for_tag(tag), inner, creator)

    def level(self, attributes: Iterable[str]) -> str:
        """Put the attributes of an item together."""
        return "".join(attributes)

    def document(self, attributes: Iterable[str]) -> bytes:
        """Put the attributes of an instance together."""
        return xml_model.document(attributes)
