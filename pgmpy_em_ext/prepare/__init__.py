"""From what the user gives to what EM needs, checked."""
