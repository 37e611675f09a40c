"""The Standard executor: runs that outlive the process, can be cancelled, resumed, forked and overridden.

Nothing outside this folder knows the engine; `port` is what others see of it.
"""
