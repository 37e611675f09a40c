"""The seven kinds, one module each. These models are the source of the CRDs."""
