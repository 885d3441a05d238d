"""LINE's HTTP interfaces, one module an area; `dispatch` finds the operation and asks its area."""
