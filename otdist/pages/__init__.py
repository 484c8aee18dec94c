"""What all pages are made of: numbers in words, axes, drawings, style, and a file that is whole."""
