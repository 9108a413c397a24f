"""Speaks the answer of a language model while the model still writes it.

    python examples/llm_to_speech.py -o answer.wav                      # a scripted answer, offline; --play to hear it
    python examples/llm_to_speech.py --model llama3.2 --base-url http://127.0.0.1:11434/v1 "What is a jitter buffer?"

The second form works with every server that has OpenAI's chat completions (OpenAI, vLLM, llama.cpp, Ollama); its key is
read from OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
import urllib.request
from collections.abc import Iterator

from voxwire_client import Audio, Started, connect
from voxwire_client.player import Player, PlayerUnavailable
from voxwire_client.wav import WavWriter

SCRIPT = (
    "A jitter buffer holds the next few frames of audio, so that one which comes late is not heard as a gap. "
    "It trades a little delay for a steady sound. Forty milliseconds are enough on most networks."
)


def scripted_tokens(tokens_per_second: float) -> Iterator[str]:
    """Pieces of about four characters, as a language model would send them."""
    for at in range(0, len(SCRIPT), 4):
        time.sleep(1 / tokens_per_second)
        yield SCRIPT[at : at + 4]


def model_tokens(base_url: str, model: str, question: str) -> Iterator[str]:
    """The pieces of an answer from `POST BASE_URL/chat/completions`, read from its stream of server-sent events."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            data = line.decode().strip().removeprefix("data: ")
            if data.startswith("{"):
                for choice in json.loads(data)["choices"]:
                    yield choice["delta"].get("content") or ""


async def speak(tokens: Iterator[str], url: str | None, voice: str | None, output: str, *, play: bool) -> None:
    """Speak the tokens to the sound card or into a WAV file, and say how soon the first audio came.

    The client draws a plain iterator in a thread, so waiting for the model's next piece holds nothing up.
    """
    async with connect(url) as session:
        # A listener gets audio as it is heard, so that an interruption wastes little; a file as fast as it is made.
        utterance = session.speak(tokens, voice=voice, pacing="realtime" if play else "burst")
        sink: Player | WavWriter | None = None
        try:
            async for event in utterance:
                if isinstance(event, Started):
                    rate = event.audio.sample_rate
                    sink = Player(rate) if play else WavWriter(output, rate)
                elif isinstance(event, Audio) and sink is not None:
                    if event.seq == 0:
                        print(f"first audio after {len(utterance.text_so_far)} characters")
                    sink.write(event.payload)
        finally:
            if sink is not None:
                await asyncio.to_thread(sink.close)  # a player plays what is left
    print(f"said: {utterance.text_so_far}")


def main() -> None:
    """Read the arguments and speak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="?", default="What is a jitter buffer?")
    parser.add_argument("--model", help="ask this model; without one the scripted answer is spoken")
    parser.add_argument("--base-url", default=os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1"))
    parser.add_argument("--tokens-per-second", type=float, default=25.0, help="pace of the scripted answer")
    parser.add_argument("--url", help="the voxwire server")
    parser.add_argument("--voice", help="a name that `voxwire voices` lists")
    parser.add_argument("--play", action="store_true", help="play it (pip install 'voxwire[play]')")
    parser.add_argument("-o", "--output", default="answer.wav", help="the WAV file (default: %(default)s)")
    args = parser.parse_args()
    if args.model:
        tokens = model_tokens(args.base_url.rstrip("/"), args.model, args.question)
    else:
        tokens = scripted_tokens(args.tokens_per_second)
    try:
        asyncio.run(speak(tokens, args.url, args.voice, args.output, play=args.play))
    except PlayerUnavailable as problem:
        raise SystemExit(f"{problem}") from None


if __name__ == "__main__":
    main()
