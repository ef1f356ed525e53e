"""The tensor cache: its format, its reader and writer, its vocabulary."""
