from deid.splice.cut import is_encapsulated, split
from deid.splice.payload import PayloadEdit, apply_edit, payload_of, published_payload
from deid.splice.values import Hole, PixelLayout, Split, Unspliced, Unsplittable

__all__ = [
    "Hole",
    "PayloadEdit",
    "PixelLayout",
    "Split",
    "Unspliced",
    "Unsplittable",
    "apply_edit",
    "is_encapsulated",
    "payload_of",
    "published_payload",
    "split",
]
