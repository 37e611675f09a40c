"""A small knowledge base whose every answer is known: one machine to a file, four facts to a machine."""

from dataclasses import dataclass

_MACHINES = {
    "press": ("Ardmore press", "oil change", 40, "Lisbon", "hydraulic pressure", 310, "bar"),
    "kiln": ("Belvoir kiln", "relining", 900, "Porto", "firing temperature", 1240, "degrees"),
    "lathe": ("Corrib lathe", "spindle check", 75, "Turin", "spindle speed", 4200, "revolutions"),
    "loom": ("Dunmore loom", "belt exchange", 120, "Ghent", "weaving width", 190, "centimetres"),
    "mixer": ("Erriff mixer", "seal inspection", 15, "Bergen", "drum volume", 640, "litres"),
}


@dataclass(frozen=True)
class Question:
    """A question, the words its answer must hold, the document that must be cited."""

    text: str
    expected: str
    document_id: str


def documents() -> list[dict[str, str]]:
    """The handbook as the ingestion API takes it."""
    return [
        {"id": f"handbook/{key}.md", "title": name, "media_type": "text/markdown", "text": _text(*facts)}
        for key, facts in _MACHINES.items()
        for name in facts[:1]
    ]


def questions() -> list[Question]:
    """Every question that the handbook answers."""
    return [
        question
        for key, (name, service, hours, city, property_, value, unit) in _MACHINES.items()
        for question in (
            Question(
                f"After how many hours does the {name} need its {service}?",
                f"{hours} hours",
                f"handbook/{key}.md",
            ),
            Question(f"In which city is the {name} made?", city, f"handbook/{key}.md"),
            Question(f"What is the {property_} of the {name}?", f"{value} {unit}", f"handbook/{key}.md"),
        )
    ]


def _text(name: str, service: str, hours: int, city: str, property_: str, value: int, unit: str) -> str:
    return f"""# {name}

## Care

The {name} needs its {service} after {hours} hours of work. Only trained staff may do it.

## Origin

The {name} is made in the city of {city}. Every machine leaves the works with a certificate.

## Data

The {property_} of the {name} is {value} {unit}. It is measured once a year.
"""
