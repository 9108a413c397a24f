"""The protocols of other vendors, each translated to the same session core that serves the native one."""
