"""The stages in containers: develop on this machine, and what is deployed. Python's standard library is all it needs.

`target.py` lists what a target has to do; a module beside it does that for the target of this project.
"""
