"""Training: scans to images, images to weights, weights to figures; each step a function, each file
a page.
"""
