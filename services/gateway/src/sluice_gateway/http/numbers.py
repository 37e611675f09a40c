"""Numbers in a request's parameters and headers."""

from sluice_servicekit.errors import InvalidArgument


def whole_number(text: str, field: str, least: int, most: int) -> int:
    """The number that a text of plain digits is; `²` is a digit too, and no number.

    Raises:
        InvalidArgument: it is none, or out of bounds; names the field.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidArgument(f"{field} must be {least} to {most}", field=field)
    return int(text)
