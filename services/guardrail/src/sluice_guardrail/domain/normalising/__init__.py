"""Views of a text in which a disguised trigger becomes plain, with exact ways back to the original."""
