"""How models that read passages are run: by whom, in which order, and until when."""
