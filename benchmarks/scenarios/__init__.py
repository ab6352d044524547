"""How things are measured; what is measured stands in ``catalogue``."""
