"""A stand-in for a Kubernetes cluster: the real kubectl talks to it, and it executes pods in real containers.

It is no Kubernetes. Objects are kept in memory and held against the published schemas of the newest version (the
fields that are known are there in the oldest one, too) and the rules that are written here; what the controllers do is
what Kubernetes documents of its own, written anew. There is one node, never full; the clock can be put forward. The
world is closed: what is legal there and not known here, be it a resource, a field, an option or a patch, is refused
with code 501 (NotImplemented), so that nothing is passed over in silence.

Stored and not held to: roles and role bindings (whoever asks may do all), network policies, the sizes of volumes and of
ephemeral storage, pull secrets, kinds of seccomp. A Service is a port on loopback, for who is outside: pods reach each
other and the rest of their network by the engine's names. A container that is begun anew has another address.
"""
