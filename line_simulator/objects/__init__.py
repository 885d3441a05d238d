"""Checks of the objects LINE accepts: messages, actions, flex, rich menus; counted and refused as LINE does."""
