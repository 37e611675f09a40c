"""How clients name an adapter: `PIPELINE/ALIAS` in place of the pipeline's name, which has no slash."""

from sluice_servicekit.errors import InvalidArgument

#: As long as a selector can be.
_LONGEST = 63


def pipeline_and_adapter(model: str) -> tuple[str, str]:
    """The pipeline that a model's name names, and the adapter's alias; empty where it names none."""
    pipeline, _, adapter = model.partition("/")
    return (pipeline, adapter) if adapter else (model, "")  # what ends in a slash names nothing


def selecting(field: str, word: object) -> str:
    """A task or a locale, as a client gives it.

    Raises:
        InvalidArgument: no selector can have it.
    """
    if word is None:
        return ""
    if not isinstance(word, str) or len(word) > _LONGEST:
        raise InvalidArgument(f"{field} is a text of at most {_LONGEST} characters", field=field)
    return word.strip()
