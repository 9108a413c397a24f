"""The network side: connections, HTTP and WebSocket framing, and limits to what clients may send.

| module | what it holds |
|---|---|
| `connection_limiter` | how many connections there may be, and which is closed for a new one |
| `http_protocol`, `websocket_protocol` | uvicorn's protocols with limits to size, time and rate |
| `input_scheduler` | whose input is parsed next, and for how long |
| `fair_share` | each principal's share of the event loop's time, for messages and for requests |
| `connection` | one WebSocket and its session, native or another vendor's |
| `websocket`, `http` | the native protocol's endpoints |
"""
