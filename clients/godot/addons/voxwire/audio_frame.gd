# Reads the protocol's audio frames, and decodes their payload into samples for Godot.
extends Reference

const HEADER_BYTES = 16
const KIND = 1
const FIRST = 1
const LAST = 2
const REPLAYED = 4


# The frame in a binary message; null if it is not an audio frame:
# {first, last, replayed, number, seq, pts, payload (PoolByteArray)}.
static func parse(bytes: PoolByteArray):
	if bytes.size() < HEADER_BYTES or bytes[0] != KIND:
		return null
	var reader = StreamPeerBuffer.new()
	reader.big_endian = false
	reader.data_array = bytes.subarray(0, HEADER_BYTES - 1)
	reader.seek(1)
	var flags = reader.get_u8()
	var frame = {
		"first": flags & FIRST != 0,
		"last": flags & LAST != 0,
		"replayed": flags & REPLAYED != 0,
		"number": reader.get_u16(),
		"seq": reader.get_u32(),
		"pts": reader.get_u64(),
		"payload": PoolByteArray(),
	}
	if bytes.size() > HEADER_BYTES:
		frame.payload = bytes.subarray(HEADER_BYTES, bytes.size() - 1)
	return frame


# Whether `stereo` decodes a codec.
static func understands(codec: String) -> bool:
	return codec == "pcm_s16le" or codec == "mulaw"


# The samples of a payload, -1 to 1, the same in both channels, as an AudioStreamGenerator takes them.
static func stereo(payload: PoolByteArray, codec: String) -> PoolVector2Array:
	return _from_mulaw(payload) if codec == "mulaw" else _from_pcm(payload)


static func _from_pcm(payload: PoolByteArray) -> PoolVector2Array:
	var samples = PoolVector2Array()
	var count = payload.size() / 2
	samples.resize(count)
	var reader = StreamPeerBuffer.new()
	reader.big_endian = false
	reader.data_array = payload
	for i in count:
		var sample = reader.get_16() / 32768.0
		samples[i] = Vector2(sample, sample)
	return samples


static func _from_mulaw(payload: PoolByteArray) -> PoolVector2Array:
	var samples = PoolVector2Array()
	samples.resize(payload.size())
	for i in payload.size():
		var sample = mulaw_sample(payload[i]) / 32768.0
		samples[i] = Vector2(sample, sample)
	return samples


# The 16-bit value of a byte of G.711 µ-law (ITU-T G.711, table 2a).
static func mulaw_sample(byte: int) -> int:
	var code = ~byte & 0xff
	var magnitude = (((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4)
	return 0x84 - magnitude if code & 0x80 else magnitude - 0x84
