"""Who could answer, and are they well: where addresses come from, what is known of each, and the probes."""

from mesh.endpoints.dns import Dns
from mesh.endpoints.endpoint import Endpoint, EndpointState, Wire
from mesh.endpoints.outliers import Outliers
from mesh.endpoints.pool import Pool
from mesh.endpoints.sources import Leases, Source, Static

__all__ = ["Dns", "Endpoint", "EndpointState", "Leases", "Outliers", "Pool", "Source", "Static", "Wire"]
