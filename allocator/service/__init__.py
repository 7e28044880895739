"""The HTTP service: jobs, what-ifs and decisions for callers in any language."""
