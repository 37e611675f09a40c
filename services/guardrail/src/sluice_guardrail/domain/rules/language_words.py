"""What the words of a language are that its rules are made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LanguageWords:
    """Alternatives of a language, each a part of a phrase."""

    drop: str
    before: str
    orders: str
    reveal: str
    your: str
    secret: str
    """What makes instructions the system's own; may be empty where `orders` already says so."""
