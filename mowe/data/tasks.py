"""Names of tasks that the code itself knows; a manifest may hold any other."""

TRANSCRIBE = "transcribe"  # its answers are what is said
