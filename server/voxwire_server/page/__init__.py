"""The page at `/`: serves the built assets that lie in this package. It is made from clients/js/page."""

from voxwire_server.page.site import routes

__all__ = ["routes"]
