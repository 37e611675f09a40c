"""`AdapterExperiment`: outcomes read, a verdict reached and carried out."""
