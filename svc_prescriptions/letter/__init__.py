"""The letter that a pharmacist reads: its words, its two bodies, its headers."""

from svc_prescriptions.letter.message import render
from svc_prescriptions.letter.sheet import Letter

__all__ = ["Letter", "render"]
