__version__ = "made-up"
