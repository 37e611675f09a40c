"""Policies in WebAssembly: what a module is told, how it is run within bounds, and how one comes into force."""
