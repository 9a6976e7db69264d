"""An async service mesh inside the process, for grpclib services.

It knows what a proxy beside the process cannot: which calls may be repeated, what the caller's
deadline is, and why it decided as it did. `mesh.client.ServiceClient` calls, `mesh.server.Server`
answers, `mesh.registry` lets them find each other.
"""
