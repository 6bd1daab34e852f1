"""Estimators with the manners of scikit-learn."""
