"""What the evaluation of retrieval is made of; the commands are `eval_retrieval.py` and `retrieval.py`."""
