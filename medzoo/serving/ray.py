"""The application on several machines, as a deployment of Ray Serve.

Needs ``pip install 'medzoo[ray]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medzoo.lazy import import_optional
from medzoo.serving.app import create_app
from medzoo.serving.limits import Limits

if TYPE_CHECKING:
    from ray.serve import Deployment

    from medzoo.serving.models import Sources


def deployment(models: Sources, *, num_replicas: int = 1, **options: Any) -> Deployment:
    """Return the application of `medzoo.serving.create_app` as a deployment of Ray Serve.

    Each replica loads the models itself and collects its own batches. Ray distributes the requests
    and starts a replica again if it ends. Everything else that Ray offers (processors per replica,
    autoscaling, health checks) is set by the deployment's own method `options`.

    Args:
        models: As for `medzoo.serving.create_app`. Files must exist on every machine. Models that
            are loaded already are copied to each replica.
        num_replicas: How many copies of the application run.
        **options: Further arguments of `medzoo.serving.create_app`.

    Raises:
        ImportError: If the extra ``medzoo[ray]`` is missing.

    Example:
        >>> from ray import serve  # doctest: +SKIP
        >>> service = deployment(["simple_cnn.pneumoniamnist"], num_replicas=2)  # doctest: +SKIP
        >>> serve.run(service.bind())  # doctest: +SKIP
    """
    serve = import_optional("ray.serve", "the deployment needs", "ray")

    def build() -> Any:  # runs in each replica
        return create_app(models, **options)

    limits = options.get("limits") or Limits()
    result: Deployment = serve.deployment(
        name="medzoo",
        num_replicas=num_replicas,
        # By default Ray sends a replica five requests at a time: too few for batches.
        max_ongoing_requests=limits.queue_size,
    )(serve.ingress(build)())
    return result
