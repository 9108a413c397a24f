"""What operators need: keys, admission of sessions, voices, metrics, diagnosis.

| module | what it holds |
|---|---|
| `auth` | API keys, browser tokens, Origin and Host, CORS |
| `admission` | which sessions and streams are admitted, and whether the server counts as overloaded |
| `voices` | names of voices and models, and their aliases |
| `metrics`, `scheduler_metrics` | what Prometheus reads; the scheduler's part of it |
| `watchdog` | callbacks that hold the event loop |
| `reload` | which settings can change at SIGHUP |
| `doctor`, `models` | the commands `voxwire doctor` and `voxwire models` |
"""
