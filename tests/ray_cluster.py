"""A Ray cluster of two nodes on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def start_two_nodes() -> Iterator[str]:
    """Start nodes with a core each, and give the address of the cluster."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        yield cluster.address
    finally:
        cluster.shutdown()
