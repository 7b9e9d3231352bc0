"""GitHub Actions on this machine: a workflow's commands for real, its actions by stand-ins."""
