# One WebSocket, from the look-up of the host's name to its close. Packets received before the close can be taken after
# it.
extends Reference

const IN_KIB = 8192  # More than the server leaves unread on a connection.
const IN_PACKETS = 16384
const OUT_KIB = 1024
const OUT_PACKETS = 1024
const QUEUED_PACKETS_MAX = 512  # `poll` reads no further while more packets wait for `take`.

var close_code = 0  # 0 until it is closed; 1006 where no close code was received.
var _url: String
var _protocols: PoolStringArray
var _headers: PoolStringArray
var _client: WebSocketClient = null
var _resolve_item = -1
var _packets = []


# Begins to connect. The name is looked up in the background; WebSocketClient then finds the address in Godot's cache.
func _init(url: String, protocols: PoolStringArray, headers: PoolStringArray):
	_url = url
	_protocols = protocols
	_headers = headers
	var host = host_of(url)
	if not host.is_valid_ip_address():
		_resolve_item = IP.resolve_hostname_queue_item(host)


# The host of a URL, without port and brackets.
static func host_of(url: String) -> String:
	var rest = url.split("://")[1] if "://" in url else url
	var host = rest.split("/")[0].split("?")[0]
	return host.split("]")[0].trim_prefix("[") if host.begins_with("[") else host.split(":")[0]


func is_closed() -> bool:
	return close_code != 0


func has_packet() -> bool:
	return not _packets.empty()


# The next packet: [is text, PoolByteArray].
func take() -> Array:
	return _packets.pop_front()


# Never blocks.
func poll() -> void:
	if is_closed() or _packets.size() >= QUEUED_PACKETS_MAX:
		return
	if _client != null:
		_client.poll()
	elif not _is_resolving():
		_connect()


func _is_resolving() -> bool:
	if _resolve_item < 0:
		return false
	var status = IP.get_resolve_item_status(_resolve_item)
	if status == IP.RESOLVER_STATUS_WAITING:
		return true
	_erase_resolve_item()
	if status != IP.RESOLVER_STATUS_DONE:
		close_code = 1006
	return is_closed()


func _erase_resolve_item() -> void:
	if _resolve_item >= 0:
		IP.erase_resolve_item(_resolve_item)
		_resolve_item = -1


func _connect() -> void:
	_client = WebSocketClient.new()
	_client.set_buffers(IN_KIB, IN_PACKETS, OUT_KIB, OUT_PACKETS)
	_client.connect("connection_established", self, "_on_established")
	_client.connect("connection_error", self, "_on_connection_lost")
	_client.connect("connection_closed", self, "_on_closed")
	_client.connect("server_close_request", self, "_on_close_request")
	_client.connect("data_received", self, "_on_data")
	if _client.connect_to_url(_url, _protocols, false, _headers) != OK:
		close_code = 1006


# Sends a text message; false if it was not taken and has to be sent again later.
func put(utf8: PoolByteArray) -> bool:
	return not is_closed() and _client.get_peer(1).put_packet(utf8) == OK


# Sends a close frame and is closed at once, without waiting for the server's.
func leave(code: int) -> void:
	_erase_resolve_item()
	if _client != null and _client.get_connection_status() == NetworkedMultiplayerPeer.CONNECTION_CONNECTED:
		_client.disconnect_from_host(code, "")
	_packets.clear()
	close_code = 1006


func _on_established(_protocol: String) -> void:
	_client.get_peer(1).set_write_mode(WebSocketPeer.WRITE_MODE_TEXT)


func _on_data() -> void:
	var peer = _client.get_peer(1)
	var bytes = peer.get_packet()
	_packets.append([peer.was_string_packet(), bytes])


func _on_close_request(code: int, _reason: String) -> void:
	if not is_closed():
		close_code = code if code > 0 else 1005


func _on_closed(_clean: bool) -> void:
	_on_connection_lost()


func _on_connection_lost() -> void:
	if not is_closed():
		close_code = 1006
