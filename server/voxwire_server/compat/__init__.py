"""Other vendors' protocols, each translated to the session core that also serves the native protocol.

Every vendor is a package with the same modules; a small vendor has messages, formats and errors in its `http`.

| module of a vendor | what it holds |
|---|---|
| `__init__` | its endpoints: OPERATIONS over HTTP, `websocket_routes` |
| `messages` | what its clients send: bodies, query parameters, WebSocket messages |
| `formats` | its audio formats |
| `errors` | the shape of its errors |
| `http` | the HTTP endpoints: speech, lists of voices and models |
| `websocket` | WebSocket handshakes: API key, refusal, options of the address |
| `translator` | WebSocket messages to session messages and back, without I/O; one for each version of a protocol |
| `timestamps` | when characters are heard (ElevenLabs; Cartesia's times are made in its `translator`) |

Wyoming is no HTTP protocol: its `server` has a port of its own.

| module of this package | what it holds |
|---|---|
| `vendors` | which vendors there are, and the routes of those that are enabled |
| `host` | what endpoints need of the application; the voice that a request names |
| `operation`, `openapi` | how an HTTP endpoint is declared; the OpenAPI page, made of the declarations |
| `parsing` | request bodies, forms and JSON messages, within limits |
| `http` | speech as an HTTP response |
| `websocket`, `translator` | runs a translator on a WebSocket; the interface of translators |
| `session` | a session whose events are read one by one; the output formats |
"""
