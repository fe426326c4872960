from deid.splice.blank import Blank, BlankError
from deid.splice.build import literals_of, program_for
from deid.splice.cut import is_encapsulated, split, split_walked
from deid.splice.payload import PayloadEdit, apply_edit, payload_of, published_payload
from deid.splice.program import Copy, Literal, Op, Program, Xor, decode_program, encode_program, whole_program
from deid.splice.values import Hole, PixelLayout, Split, Unspliced, Unsplittable

__all__ = [
    "Blank",
    "BlankError",
    "Copy",
    "Hole",
    "Literal",
    "Op",
    "PayloadEdit",
    "PixelLayout",
    "Program",
    "Split",
    "Unspliced",
    "Unsplittable",
    "Xor",
    "apply_edit",
    "decode_program",
    "encode_program",
    "is_encapsulated",
    "literals_of",
    "payload_of",
    "program_for",
    "published_payload",
    "split",
    "split_walked",
    "whole_program",
]
