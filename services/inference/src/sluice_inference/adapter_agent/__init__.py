"""The adapter agent: a small process beside each vLLM that brings adapters to it, checked before vLLM sees them.

It answers the operator alone. vLLM takes an adapter of a wrong shape and answers with it, so what is checked here is
checked nowhere else.
"""
