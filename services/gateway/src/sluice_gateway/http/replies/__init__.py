"""The forms of replies, for OpenAPI alone: routes build plain JSON, and the tests hold it to these."""
