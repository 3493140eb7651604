"""Published models, re-implemented from their equations and constants: what the modules are compared with."""
