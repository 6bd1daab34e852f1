"""Pictures: static ones for files and reports, interactive ones for the desk. VTK is loaded on
first use.
"""
