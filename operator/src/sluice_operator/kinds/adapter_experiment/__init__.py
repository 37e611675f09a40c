"""`AdapterExperiment`: looked at until there is a verdict, which is obeyed from then on."""
