"""One client's session: what it says and when, and what it shares with other sessions.

| module | what it holds |
|---|---|
| `core` | a session: takes messages, outputs and the time, returns effects; pure, like all down to `visemes` |
| `effects` | what a core returns: send, synthesise, encode, close |
| `open_contexts`, `message_handler` | the open contexts; each client message applied to them |
| `context` | one context's life, made of the next three |
| `clause_cutter`, `chunk_receiver`, `frame_sender` | text to clauses; outputs put in order; frames sent when due |
| `stretches` | clauses divided by language, a voice for each part, what is left out |
| `playout`, `heard` | the playout clock and underruns; what has been heard |
| `visemes` | viseme keyframes, made in the worker threads |
| `resume`, `quotas` | the replay log and resume tokens; places, rates and memory by principal |
| `settings` | bounds and defaults of sessions and contexts |
| `driver`, `ticker` | carries out effects; the one timer that wakes all sessions |
| `registry` | all sessions of the process: found, resumed, drained, given their outputs |
| `ports` | interfaces of what a session needs: `Sink`, `Synthesis`, `Observer`, `Directory`, `SessionServices` |
"""
