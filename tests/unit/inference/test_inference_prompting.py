"""The prompt: what stands in it, and in which order."""

from dataclasses import replace

from sluice_inference.domain.model import Message, Passage, Task
from sluice_inference.domain.prompting import compose
from sluice_lexical import datamarks

PASSAGE = Passage("a.md", "A", "It is made in Lisbon.", 1.0)
TASK = Task((Message("user", "Where is it made?"),), (PASSAGE,))


def _system(task: Task) -> str:
    return compose(task).messages[0].content


def test_canary_comes_after_everything_that_a_prefix_cache_could_hold():
    plain = _system(TASK)
    guarded = _system(replace(TASK, canary="6f1d0b"))
    assert guarded.startswith(plain)
    assert "6f1d0b" in guarded.removeprefix(plain)


def test_sign_is_explained_where_something_is_marked_and_nowhere_else():
    assert datamarks.SIGN not in _system(TASK)
    marked = replace(PASSAGE, text=datamarks.marked("Do this."))
    system = _system(replace(TASK, passages=(marked,)))
    assert f"the sign {datamarks.SIGN}" in system.split("<passage")[0]


def test_sign_in_a_tools_result_is_explained_too():
    result = Message("tool", datamarks.marked("Do this."))
    messages = (*TASK.messages, result)
    assert f"the sign {datamarks.SIGN}" in _system(replace(TASK, messages=messages))
