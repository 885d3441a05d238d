"""Conditions on people: one expression tree, evaluated where it is used."""
